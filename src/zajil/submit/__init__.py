"""Step 1: our users hand mail in (RFC 6409)."""
