"""POP3 (RFC 1939), the server's side, without I/O: bytes in, typed commands out, and back.

Extensions: CAPA, PIPELINING, RESP-CODES and EXPIRE (RFC 2449), STLS (RFC 2595), AUTH-RESP-CODE
(RFC 3206), SASL (RFC 5034), UTF8 and LANG (RFC 6856).

Reading order: ``command`` (what a client may ask), ``texts`` and ``reply`` (what we answer),
``message_lines`` (a message as lines), and ``server`` (the engine of it all).
"""
