"""IMAP4rev1 (RFC 3501), the server's side, without I/O: bytes in, typed commands out, and back.

Extensions: LITERAL+ (RFC 7888), SASL-IR (RFC 4959), IDLE (RFC 2177), UIDPLUS (RFC 4315), MOVE
(RFC 6851), UNSELECT (RFC 3691), NAMESPACE (RFC 2342), ID (RFC 2971), ENABLE (RFC 5161),
LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC 6154), CONDSTORE and
QRESYNC (RFC 7162).

Reading order: ``command`` (what a client may ask), ``feature`` (what it may enable), ``grammar``
and ``parse`` (line to command), with ``modifiers``, ``sequence_set``, ``mailbox_name``, ``flag``,
``date_time``, ``fetch_item``, ``search_key`` for their arguments; ``response`` (what we answer),
``envelope`` and ``body_structure`` (a message as IMAP describes it), ``state`` (which command
when), ``literal`` (with the limits), and ``server`` (the engine of it all).
"""
