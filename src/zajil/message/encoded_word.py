"""Encoded words: text in header fields (RFC 2047), both ways.

Decoding joins the bytes of neighbouring words in one charset before it makes them text: many
senders cut inside a character, which RFC 2047 section 5 forbids.
"""

from __future__ import annotations

import re
from binascii import a2b_qp, b2a_base64

from zajil.message.charset import decode_text
from zajil.message.transfer import decode_base64

MAX_WORD = 75
"""Characters of one encoded word (RFC 2047 section 2)."""

# A language after "*" is RFC 2231 section 5. Each part excludes "?", so nothing backtracks far.
_WORD = re.compile(
    r"=\?([!->@-~]{1,40}?)(?:\*[A-Za-z0-9-]{0,40})?\?([BbQq])\?"
    r"([^?\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{0,2000})\?="
)


def decode_words(value: bytes | str) -> str:
    """Decode an unstructured value or a phrase (RFC 2047 section 6); never raises.

    Raw UTF-8 is taken as it is (RFC 6532 section 3.2); what is no valid encoded word stays.
    """
    text = value if isinstance(value, str) else decode_text(value)
    if "=?" not in text:
        return text
    out: list[str] = []
    held = _Held()
    at = 0
    for word in _WORD.finditer(text):
        gap = text[at : word.start()]
        joined = at > 0 and not gap.strip(" \t\r\n")
        if not joined or held.charset != word[1].lower():
            out.append(held.take())
        if not joined:
            out.append(gap)
        held.add(word[1].lower(), word[2].upper(), word[3])
        at = word.end()
    out.append(held.take())
    out.append(text[at:])
    return "".join(out)


class _Held:
    """Neighbouring words in one charset, which become text together."""

    def __init__(self) -> None:
        self.charset = ""
        self._octets = bytearray()
        self._base64 = ""
        """Payload that ended inside a group of four: the next word may go on with it."""

    def add(self, charset: str, encoding: str, payload: str) -> None:
        self.charset = charset
        if encoding == "B":
            self._base64 += "".join(payload.split())
            if self._base64.endswith("=") or len(self._base64) % 4 == 0:
                self._flush()
            return
        self._flush()
        data = payload.encode("utf-8", "replace")
        self._octets += a2b_qp(data.replace(b"\r", b"").replace(b"\n", b""), header=True)

    def take(self) -> str:
        """Return the text, and hold nothing."""
        self._flush()
        if not self._octets:
            return ""
        text = decode_text(bytes(self._octets), self.charset)
        self._octets.clear()
        return text

    def _flush(self) -> None:
        if self._base64:
            self._octets += decode_base64(self._base64.encode("utf-8", "replace"))
            self._base64 = ""


def encode_words(text: str, *, first_limit: int = MAX_WORD) -> list[str]:
    """Encode text as UTF-8 encoded words, each whole characters and at most ``MAX_WORD`` long.

    Args:
        first_limit: length the first word may have, for what already stands on its line.
    """
    overhead = len("=?utf-8?B??=")
    words: list[str] = []
    pending = b""
    limit = max(first_limit, overhead + 8)
    for char in text:
        octets = char.encode("utf-8", "replace")
        if pending and overhead + _base64_length(len(pending) + len(octets)) > limit:
            words.append(_encode_word(pending))
            pending, limit = b"", MAX_WORD
        pending += octets
    if pending:
        words.append(_encode_word(pending))
    return words


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4


def _encode_word(octets: bytes) -> str:
    return f"=?utf-8?B?{b2a_base64(octets, newline=False).decode('ascii')}?="
