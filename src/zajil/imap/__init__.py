"""The IMAP protocol, server side, without I/O (RFC 3501)."""
