"""SASL mechanisms as steps, without I/O (RFC 4422)."""
