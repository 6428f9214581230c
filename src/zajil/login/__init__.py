"""Who is at the other end: passwords, throttled failures, the account that comes of it."""
