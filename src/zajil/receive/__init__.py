"""Step 2: the world hands mail in (RFC 5321 section 3.3, port 25 and LMTP).

Reading order: ``session`` (what is answered when), ``patience`` (how slowly), ``session_record``
(what is recorded of a session), ``replies`` (every text). The mail itself is accepted by
``accept``.
"""
