"""People of an LDAP directory (RFC 4511): who there is, and whether a password is right.

Reading order: ``person`` (an entry as a value), ``connection`` (TLS, log-in, time limits), ``ldap``
(the two questions). ``operations.directory_sync`` makes accounts of people; ``login.verification``
asks for passwords.
"""
