"""POP3: INBOX for programs that fetch mail and delete it. (RFC 1939)

``service`` connects the engine (``zajil.pop3``) with ``session``, which decides. A session has a
``maildrop``, a list of messages that does not change until QUIT; ``locks`` lets one session at a
time have it, and ``download`` reads messages.
"""
