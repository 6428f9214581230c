"""Bytes to structure and back (RFC 5322, RFC 2045 to 2049)."""
