"""The grammar of SMTP lines: each regular expression under its ABNF.

Quantifiers are possessive where a peer's bytes could make them go back and forth: every match
is linear in the line. Addresses themselves are ``core.address``.
"""

from __future__ import annotations

import re

# ehlo = "EHLO" SP ( Domain / address-literal ) CRLF    (RFC 5321 section 4.1.1.1)
#
# Deviation: any visible ASCII without brackets of a path is taken for a name: mail programs send
# host names with underscores, bare addresses or one label (2026-11-23, docs/interop.md). The
# name is a claim in any case (RFC 5321 section 4.1.4).
CLIENT_NAME = re.compile(r"[!-;=?-~]{1,255}")

# Reverse-path = Path / "<>"
# Path         = "<" [ A-d-l ":" ] Mailbox ">"          (RFC 5321 section 4.1.2)
# A-d-l        = At-domain *( "," At-domain )           accepted and ignored (appendix C)
# At-domain    = "@" Domain
#
# Deviation: RFC 5321 section 3.3 forbids the space after the colon. Outlook and several
# appliances send one (2026-11-23, docs/interop.md), and refusing it gains nothing: hence " ?".
_AT_DOMAIN = r'@[^@,:<>\s"]++'
_QUOTED_STRING = r'"(?:[^"\\]|\\.)*+"'
_PATH = (
    r" ?<"
    rf"(?:{_AT_DOMAIN}(?:,{_AT_DOMAIN})*+:)?"
    rf'(?P<mailbox>(?:{_QUOTED_STRING})?+[^"<>\s]*+)'
    r">(?: +(?P<parameters>.*))?"
)
FROM_PATH = re.compile("FROM:" + _PATH, re.IGNORECASE)
TO_PATH = re.compile("TO:" + _PATH, re.IGNORECASE)

# Mail-parameters = esmtp-param *(SP esmtp-param)
# esmtp-param     = esmtp-keyword ["=" esmtp-value]     (RFC 5321 section 4.1.2)
# esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
# esmtp-value     = 1*(%d33-60 / %d62-126)              UTF-8 too: RFC 6531 section 3.3
PARAMETER = re.compile(
    r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]{0,63})(?:=(?P<value>[!-<>-~\u00a0-\U0010ffff]+))?"
)

# size-value ::= 1*20DIGIT                               (RFC 1870 section 3)
SIZE_VALUE = re.compile(r"[0-9]{1,20}")

# chunk-size ::= 1*DIGIT                                 (RFC 3030 section 2)
# bdat-cmd   ::= "BDAT" SP chunk-size [ SP end-marker ] CR LF
# end-marker ::= "LAST"
CHUNK = re.compile(r"(?P<size>[0-9]{1,20})(?P<last> +LAST)?", re.IGNORECASE | re.ASCII)

# future-release-integer = %x31-39 *8DIGIT               (RFC 4865 section 3)
HOLD_SECONDS = re.compile(r"[1-9][0-9]{0,8}")

# date-time = full-date "T" full-time                    (RFC 3339 section 5.6)
DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)

# sasl-mech = 1*20mech-char
# mech-char = %x41-5A / DIGIT / "-" / "_"                (RFC 4422 section 3.1)
# Lower case is taken too: RFC 4954 section 4 compares without case.
MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")

# Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
# Reply-code = %x32-35 %x30-35 %x30-39                   (RFC 5321 section 4.2)
REPLY_LINE = re.compile(rb"(?P<code>[2-5][0-9]{2})(?:(?P<separator>[ -])(?P<text>.*))?", re.DOTALL)

# Status-code = ( "2" / "4" / "5" ) "." subject "." detail    (RFC 3463 section 2)
ENHANCED_STATUS = re.compile(r"(?P<status>[245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z)")

# What must not stand in a command: C0, DEL, C1, and Unicode's own line ends.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
