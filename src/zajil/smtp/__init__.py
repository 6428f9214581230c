"""The SMTP protocol, both sides, without I/O (RFC 5321).

Extensions: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531),
ENHANCEDSTATUSCODES (RFC 2034), STARTTLS (RFC 3207), AUTH (RFC 4954).

Reading order: ``grammar`` (regular expressions under their ABNF), ``reply`` and ``codes``,
``command`` (one dataclass per command, line to command), ``refusals`` (what the server
engine answers by itself), ``extensions`` (what EHLO announces and
what each keyword permits), ``state`` (which command may come when), ``lines`` (where lines and
messages end), then the engines: ``server`` and ``client``.
"""
