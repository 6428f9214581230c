"""The commands of POP3, and their syntax. (RFC 1939 section 9)"""

from __future__ import annotations

import binascii
import re

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class
from zajil.pop3.texts import Text

_NUMBER = re.compile(rb"[0-9]{1,10}\Z")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*+={0,2}\Z")
_LANGUAGE = re.compile(rb"(?:\*|[A-Za-z0-9-]{1,60})\Z")


class BadCommand(Malformed):
    """A line that is no command; ``text`` says why."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.name)
        self.text = text


@value_class(frozen=True, slots=True)
class Capa:
    """CAPA. (RFC 2449 section 5)"""


@value_class(frozen=True, slots=True)
class Stls:
    """STLS. (RFC 2595 section 4)"""


@value_class(frozen=True, slots=True)
class User:
    """USER."""

    name: str


@value_class(frozen=True, slots=True)
class Pass:
    """PASS."""

    password: str


@value_class(frozen=True, slots=True)
class AuthCommand:
    """AUTH. (RFC 5034 section 4)"""

    mechanism: str
    initial: bytes | None
    """The initial response; ``None``: there is none."""


@value_class(frozen=True, slots=True)
class AuthList:
    """AUTH without a mechanism: old clients that do not know CAPA ask for a list."""


@value_class(frozen=True, slots=True)
class Utf8:
    """UTF8. (RFC 6856 section 2.1)"""


@value_class(frozen=True, slots=True)
class Lang:
    """LANG. (RFC 6856 section 3)"""

    wanted: str | None
    """A language range, ``*``; ``None``: the list is asked for."""


@value_class(frozen=True, slots=True)
class QuitCommand:
    """QUIT."""


@value_class(frozen=True, slots=True)
class NoOperation:
    """NOOP."""


@value_class(frozen=True, slots=True)
class Stat:
    """STAT."""


@value_class(frozen=True, slots=True)
class ScanListing:
    """LIST."""

    number: int | None
    """``None``: all messages."""


@value_class(frozen=True, slots=True)
class Uidl:
    """UIDL."""

    number: int | None
    """``None``: all messages."""


@value_class(frozen=True, slots=True)
class Retr:
    """RETR."""

    number: int


@value_class(frozen=True, slots=True)
class Top:
    """TOP."""

    number: int
    lines: int
    """Of the body."""


@value_class(frozen=True, slots=True)
class Dele:
    """DELE."""

    number: int


@value_class(frozen=True, slots=True)
class ResetCommand:
    """RSET."""


@value_class(frozen=True, slots=True)
class PasswordLogin:
    """A log-in by USER and PASS."""

    name: str
    password: str


@value_class(frozen=True, slots=True)
class ChallengeResponse:
    """The answer to a challenge."""

    data: bytes | None
    """``None``: the client cancels."""


Command = (
    Capa
    | Stls
    | User
    | Pass
    | AuthCommand
    | AuthList
    | Utf8
    | Lang
    | QuitCommand
    | NoOperation
    | Stat
    | ScanListing
    | Uidl
    | Retr
    | Top
    | Dele
    | ResetCommand
)
Event = (
    PasswordLogin
    | AuthCommand
    | ChallengeResponse
    | QuitCommand
    | Stat
    | ScanListing
    | Uidl
    | Retr
    | Top
    | Dele
    | ResetCommand
)
"""What the engine does not answer by itself."""

_PLAIN: dict[bytes, Command] = {
    b"CAPA": Capa(),
    b"STLS": Stls(),
    b"UTF8": Utf8(),
    b"QUIT": QuitCommand(),
    b"NOOP": NoOperation(),
    b"STAT": Stat(),
    b"RSET": ResetCommand(),
}
VERBS = frozenset(
    {*_PLAIN, b"USER", b"PASS", b"AUTH", b"LANG", b"LIST", b"UIDL", b"RETR", b"TOP", b"DELE"}
)


def parse_command(line: bytes) -> Command:
    """Return the command of a line without its CRLF.

    Raises:
        BadCommand: it is none.
    """
    word, space, rest = line.partition(b" ")
    verb = word.upper()
    # Its spaces may belong to the password (RFC 1939 section 7, PASS).
    if verb == b"PASS" and space:
        return Pass(_text(rest))
    words = rest.split()
    if verb in _PLAIN:
        if words:
            raise BadCommand(Text.NO_ARGUMENT)
        return _PLAIN[verb]
    match verb:
        case b"USER" if rest.strip():
            return User(_text(rest.strip()))
        case b"LIST" | b"UIDL" if len(words) < 2:
            number = _number(words[0]) if words else None
            return ScanListing(number) if verb == b"LIST" else Uidl(number)
        case b"RETR" if len(words) == 1:
            return Retr(_number(words[0]))
        case b"DELE" if len(words) == 1:
            return Dele(_number(words[0]))
        case b"TOP" if len(words) == 2:
            return Top(_number(words[0]), _number(words[1]))
        case b"AUTH" if len(words) < 3:
            return _auth(words)
        case b"LANG" if len(words) < 2:
            if words and not _LANGUAGE.match(words[0]):
                raise BadCommand(Text.UNKNOWN_LANGUAGE)
            return Lang(words[0].decode("ascii") if words else None)
    raise BadCommand(Text.WRONG_ARGUMENTS if verb in VERBS else Text.UNKNOWN_COMMAND)


def decode_base64(data: bytes) -> bytes:
    """Decode base64, strictly.

    Raises:
        BadCommand: it is not base64.
    """
    try:
        if _BASE64.match(data):
            return binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error:
        pass
    raise BadCommand(Text.NOT_BASE64)


def _auth(words: list[bytes]) -> AuthCommand | AuthList:
    if not words:
        return AuthList()
    try:
        mechanism = words[0].decode("ascii").upper()
    except UnicodeDecodeError:
        raise BadCommand(Text.UNKNOWN_MECHANISM) from None
    if len(words) == 1:
        return AuthCommand(mechanism, None)
    # "=" stands for an initial response of zero length.
    return AuthCommand(mechanism, b"" if words[1] == b"=" else decode_base64(words[1]))


def _number(word: bytes) -> int:
    if not _NUMBER.match(word):
        raise BadCommand(Text.NOT_A_NUMBER)
    return int(word)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadCommand(Text.NOT_UTF8) from None
