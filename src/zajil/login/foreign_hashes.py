"""Password hashes of other programs: ``{SCHEME}value``, as Dovecot, OpenLDAP and shadow have them.

They come with ``zajil import passwd-file``, are verified once, and then replaced by a hash of our
own (``login.service``). The value is in Base64 or hexadecimal digits, as the scheme has it or as
``.B64`` and ``.HEX`` behind its name say.

Security: the cost of a hash is a part of it, and a hostile file could name one that takes hours or
all memory. What costs more than about a second or 256 MiB is refused, when it is read in and again
when it is verified.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Callable

from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type, verify_secret

from zajil.core.errors import Invalid
from zajil.login.system_crypt import NoSystemCrypt, system_crypt

MOST_ROUNDS = 1_000_000
"""Of PBKDF2 and the SHA-2 crypt methods: less than a second. OWASP recommends 600,000."""
_MOST_MEMORY_KIB = 262_144
_MOST_PASSES = 16
_LONGEST = 1024
"""Characters of a stored hash."""

_Check = Callable[[bytes], bool]


class UnsupportedHash(Invalid):
    """A password hash that cannot be verified here; the text says why, without the hash."""


def is_foreign(stored: str) -> bool:
    """Return whether a stored hash is one of another program."""
    return stored.startswith("{")


def read_foreign_hash(text: str, default: str = "CRYPT") -> str:
    """Return a hash in the form in which it is stored: ``{SCHEME}value``.

    Args:
        text: with or without a scheme.
        default: the scheme of a hash that names none; ``CRYPT`` as in a passwd-file of Dovecot.

    Raises:
        UnsupportedHash: unknown scheme, malformed value, or one that costs too much.
    """
    stored = text if is_foreign(text) else f"{{{default}}}{text}"
    _read(stored)
    return stored


def matches_foreign(stored: str, password: str) -> bool:
    """Return whether a password is the one of a hash; ``False`` for a hash we cannot verify."""
    try:
        check = _read(stored)
        return check(password.encode("utf-8", "replace"))
    except (UnsupportedHash, NoSystemCrypt):
        return False


def plain_password(stored: str) -> str | None:
    """Return the password itself if the scheme keeps it readable; ``None``: it is hashed."""
    scheme, encoding, value = _split(stored)
    if scheme not in ("PLAIN", "CLEAR", "CLEARTEXT"):
        return None
    if not encoding:
        return value
    try:
        return _decode(value, encoding).decode("utf-8")
    except UnicodeDecodeError:
        raise UnsupportedHash(f"the password of scheme {scheme} is not UTF-8") from None


def _read(stored: str) -> _Check:
    scheme, encoding, value = _split(stored)
    if not value or len(value) > _LONGEST or not value.isprintable():
        raise UnsupportedHash(f"the value of scheme {scheme} is empty or malformed")
    if (plain := plain_password(stored)) is not None:
        right = plain.encode("utf-8", "replace")
        return lambda password: hmac.compare_digest(right, password)
    if not value.isascii():
        raise UnsupportedHash(f"the value of scheme {scheme} is malformed")
    if scheme in _DIGESTS:
        return _read_digest(scheme, encoding, value)
    text = value
    if encoding:
        text = _decode(value, encoding).decode("ascii", "replace")
    if scheme in _READERS:
        return _READERS[scheme](text)
    raise UnsupportedHash(f"the scheme {scheme or 'without a name'} is not supported")


def _split(stored: str) -> tuple[str, str, str]:
    """Return the scheme in capitals, ``B64``, ``HEX`` or ``""``, and the value."""
    name, brace, value = stored.removeprefix("{").partition("}")
    if not brace or not re.fullmatch(r"[A-Za-z0-9-]{1,30}(\.[A-Za-z0-9]{1,10})?", name):
        raise UnsupportedHash("the scheme is malformed")
    scheme, _, suffix = name.upper().partition(".")
    if suffix not in ("", "HEX", "B64", "BASE64"):
        raise UnsupportedHash(f"the encoding .{suffix} is not supported")
    return scheme, "B64" if suffix == "BASE64" else suffix, value


def _decode(value: str, encoding: str) -> bytes:
    try:
        if encoding == "HEX":
            return bytes.fromhex(value)
        return b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UnsupportedHash("the value is neither Base64 nor hexadecimal digits") from None


_DIGESTS = {
    # name of the hash function, whether a salt follows the digest, encoding
    "SHA": ("sha1", False, "B64"),
    "SHA1": ("sha1", False, "B64"),
    "SHA256": ("sha256", False, "B64"),
    "SHA512": ("sha512", False, "B64"),
    "SSHA": ("sha1", True, "B64"),
    "SSHA256": ("sha256", True, "B64"),
    "SSHA512": ("sha512", True, "B64"),
    "SMD5": ("md5", True, "B64"),
    "PLAIN-MD5": ("md5", False, "HEX"),
    "LDAP-MD5": ("md5", False, "B64"),
}


def _read_digest(scheme: str, encoding: str, value: str) -> _Check:
    name, is_salted, usual = _DIGESTS[scheme]
    data, size = _decode(value, encoding or usual), hashlib.new(name, usedforsecurity=False)
    digest, salt = data[: size.digest_size], data[size.digest_size :]
    if len(digest) != size.digest_size or bool(salt) != is_salted:
        raise UnsupportedHash(f"the value of scheme {scheme} has a wrong length")

    def check(password: bytes) -> bool:
        # Security: the function is what the other program chose; ours replaces it.
        found = hashlib.new(name, password + salt, usedforsecurity=False).digest()
        return hmac.compare_digest(found, digest)

    return check


_CRYPT = re.compile(
    r"(?P<md5>\$1\$[^$:]{0,8}\$[./0-9A-Za-z]{22})"
    r"|(?P<sha2>\$[56]\$(rounds=(?P<rounds>[0-9]{1,9})\$)?[^$:]{0,16}\$[./0-9A-Za-z]{43,86})"
    r"|(?P<bcrypt>\$2[abxy]\$(?P<cost>[0-9]{2})\$[./0-9A-Za-z]{53})"
    # yescrypt: j is all its flags; then log2(N) - 1 and r - 1, each as one character
    r"|(?P<yescrypt>\$y\$j[./0-9A-B][./0-9A-T]\$[./0-9A-Za-z]{1,86}\$[./0-9A-Za-z]{43})"
    r"|(?P<des>[./0-9A-Za-z]{13})"
)
_MOST_BCRYPT = 14
"""Rounds as a power of two: about a second."""


def _read_crypt(text: str) -> _Check:
    found = _CRYPT.fullmatch(text)
    if found is None:
        method = re.match(r"\$[A-Za-z0-9-]{1,16}\$", text)
        named = f"the method {method[0]} of crypt(3)" if method else "the value of scheme CRYPT"
        raise UnsupportedHash(f"{named} is not supported, is malformed or costs too much")
    if int(found["rounds"] or 0) > MOST_ROUNDS or int(found["cost"] or 0) > _MOST_BCRYPT:
        raise UnsupportedHash("the hash has too many rounds: a log-in would take too long")
    return lambda password: hmac.compare_digest(system_crypt(password, text), text.encode())


def _read_md5(text: str) -> _Check:
    """``MD5`` of Dovecot is MD5-CRYPT, or a bare digest."""
    if re.fullmatch(r"[0-9A-Fa-f]{32}", text):
        return _read_digest("PLAIN-MD5", "", text)
    return _read_crypt(text)


def _read_pbkdf2(text: str) -> _Check:
    """``$1$salt$rounds$hexadecimal digits``, with SHA-1."""
    found = re.fullmatch(r"\$1\$([^$]{1,64})\$([0-9]{1,9})\$([0-9A-Fa-f]{40})", text)
    if found is None:
        raise UnsupportedHash("the value of scheme PBKDF2 is malformed")
    salt, rounds, digest = found[1].encode(), _rounds(found[2]), bytes.fromhex(found[3])
    return lambda password: hmac.compare_digest(
        hashlib.pbkdf2_hmac("sha1", password, salt, rounds), digest
    )


def _read_argon2(text: str) -> _Check:
    found = re.fullmatch(
        r"\$argon2(id|i)\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,3})\$[A-Za-z0-9+/]{8,200}"
        r"\$[A-Za-z0-9+/]{16,200}",
        text,
    )
    if found is None:
        raise UnsupportedHash("the value of scheme ARGON2 is malformed")
    if int(found[2]) > _MOST_MEMORY_KIB or int(found[3]) > _MOST_PASSES or int(found[4]) > 16:
        raise UnsupportedHash("the hash costs too much memory or time for a log-in")
    kind = Type.ID if found[1] == "id" else Type.I

    def check(password: bytes) -> bool:
        try:
            return verify_secret(text.encode(), password, kind)
        except (Argon2Error, InvalidHashError):
            return False

    return check


def _read_scram(name: str) -> Callable[[str], _Check]:
    """``iterations,salt,StoredKey,ServerKey`` (RFC 5802 section 3), Base64 but for the first."""

    def read(text: str) -> _Check:
        parts = text.split(",")
        if len(parts) != 4:
            raise UnsupportedHash("the value of scheme SCRAM is malformed")
        rounds, salt, stored = _rounds(parts[0]), _decode(parts[1], ""), _decode(parts[2], "")

        def check(password: bytes) -> bool:
            salted = hashlib.pbkdf2_hmac(name, password, salt, rounds)
            key = hmac.digest(salted, b"Client Key", name)
            return hmac.compare_digest(hashlib.new(name, key).digest(), stored)

        return check

    return read


def _rounds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 0 < int(text) <= MOST_ROUNDS:
        raise UnsupportedHash("the hash has no rounds or too many: a log-in would take too long")
    return int(text)


_READERS: dict[str, Callable[[str], _Check]] = {
    **dict.fromkeys(
        ("CRYPT", "DES-CRYPT", "MD5-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "BLF-CRYPT"),
        _read_crypt,
    ),
    "MD5": _read_md5,
    "PBKDF2": _read_pbkdf2,
    "ARGON2I": _read_argon2,
    "ARGON2ID": _read_argon2,
    "SCRAM-SHA-1": _read_scram("sha1"),
    "SCRAM-SHA-256": _read_scram("sha256"),
}
