"""The SMTP and LMTP protocols, both sides, without I/O (RFC 5321, RFC 2033).

Extensions: PIPELINING (RFC 2920), SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531),
ENHANCEDSTATUSCODES (RFC 2034), CHUNKING (RFC 3030), DSN (RFC 3461), STARTTLS (RFC 3207), AUTH
(RFC 4954), REQUIRETLS (RFC 8689), LIMITS (RFC 9422), FUTURERELEASE (RFC 4865), and XCLIENT as
Postfix has it. BINARYMIME is not among them: it would let bare CR, LF and NUL through.

Reading order: ``grammar`` (regular expressions under their ABNF), ``reply`` and ``codes``,
``command`` (one dataclass per command, and what a message becomes), ``refusals`` (what the server
engine answers by itself), ``xtext``, ``parameters`` and ``xclient`` (what they hold), then
``command_line`` (line to command). ``extensions`` (what EHLO announces), ``preconditions`` (what
that and the state of the session forbid), ``state`` (which command may come when). ``body`` (where
a message ends that comes in), ``lines`` (how one leaves), then the engines: ``server`` and
``client``.
"""
