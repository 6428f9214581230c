"""Messages and mailboxes: accepting, reading, changing; the bytes; the journey of each mail."""
