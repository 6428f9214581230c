"""The SMTP protocol, both sides, without I/O (RFC 5321)."""
