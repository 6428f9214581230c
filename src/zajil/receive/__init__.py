"""Reception: other servers hand mail in (RFC 5321 section 3.3, port 25 and LMTP).

Reading order: ``session`` (the answer to each command), ``patience`` (delays for suspicious
clients), ``session_record`` (what is recorded of a session), ``replies`` (all texts). The mail
itself is accepted by ``accept``.
"""
