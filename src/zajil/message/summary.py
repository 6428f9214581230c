"""What lists need of a message without its bytes: subject, people, date, preview, thread. Pure.

IMAP's ENVELOPE and BODYSTRUCTURE are written beside it (``read.indexer``); ``store.mail.summaries``
keeps both.
"""

from __future__ import annotations

import hashlib
import re

from zajil.core.value_class import value_class
from zajil.message.fields import find_value
from zajil.message.header_view import Person, one_line
from zajil.message.view import MessageView

MAX_PEOPLE = 20
"""People that are kept of From, of To and of Cc."""
_MAX_SUBJECT = 1000
_MAX_IDS = 20
"""Message-IDs that are kept of References: the first, and the last ones."""
_MAX_FIELD = 65_536
"""Bytes of References that are looked at."""
_MAX_ID = 500
"""Characters of a Message-ID; a longer one is taken for none."""


@value_class(frozen=True, slots=True, kw_only=True)
class Summary:
    """One message as a list shows it, and what connects it with others."""

    subject: str
    """Decoded, in one line; ``""`` when there is none."""
    base_subject: str
    """The subject without ``Re:``, ``Fwd:`` and the like. (RFC 5256 section 2.1)"""
    senders: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    date_ms: int | None
    """The Date field; ``None``: missing or not readable."""
    preview: str
    has_attachments: bool
    message_id: str
    """With its angle brackets; ``""`` when there is none."""
    references: tuple[str, ...]
    """Message-IDs of References and In-Reply-To, with their angle brackets, each once."""
    referred: int = 0
    """How many of these stand in References; those behind them are only in In-Reply-To."""
    fault: str = ""
    """Why the message could not be read; all else is empty then."""


def summarize(view: MessageView) -> Summary:
    """Return the summary of a message."""
    subject = one_line(view.subject, _MAX_SUBJECT)
    own = _find_ids(find_value(view.fields, b"message-id") or b"")
    parents = _find_ids(find_value(view.fields, b"references") or b"")
    if len(parents) > _MAX_IDS:
        parents = [parents[0], *parents[1 - _MAX_IDS :]]
    referred = len(dict.fromkeys(parents))
    parents += _find_ids(find_value(view.fields, b"in-reply-to") or b"")[:_MAX_IDS]
    return Summary(
        subject=subject,
        base_subject=base_subject(subject),
        senders=_listed(view.senders),
        to=_listed(view.to),
        cc=_listed(view.cc),
        date_ms=view.date_ms,
        preview=view.preview,
        has_attachments=bool(view.attachments),
        message_id=own[0] if own else "",
        references=tuple(dict.fromkeys(parents)),
        referred=referred,
    )


def faulty_summary(fault: str) -> Summary:
    """Return the summary of a message that cannot be read."""
    return Summary(
        subject="",
        base_subject="",
        senders=(),
        to=(),
        cc=(),
        date_ms=None,
        preview="",
        has_attachments=False,
        message_id="",
        references=(),
        fault=one_line(fault, 200),
    )


def thread_keys(summary: Summary) -> tuple[int, ...]:
    """Return what two messages of one thread have in common, as numbers of 64 bits.

    Messages belong to one thread when they have the same base subject and name a Message-ID in
    common, their own included. (RFC 8621 section 3)
    """
    about = summary.base_subject.casefold().encode()
    ids = [summary.message_id, *summary.references] if summary.message_id else summary.references
    return tuple([_key(one.encode() + b"\0" + about) for one in dict.fromkeys(ids)])


def _key(data: bytes) -> int:
    # Both databases have signed numbers.
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big", signed=True)


def _listed(people: tuple[Person, ...]) -> tuple[Person, ...]:
    return tuple([Person(one.name, one.address, one.domain) for one in people[:MAX_PEOPLE]])


_ID = re.compile(rb"<[^<>\s\x00-\x1f\x7f]++>")


def _find_ids(value: bytes) -> list[str]:
    """Return the Message-IDs of a field; of one without angle brackets the first word."""
    found = [one.decode("utf-8", "replace") for one in _ID.findall(value[-_MAX_FIELD:])]
    if not found and (words := one_line(value[:_MAX_FIELD].decode("utf-8", "replace")).split()):
        found = [f"<{words[0]}>"]
    return [one for one in found if len(one) <= _MAX_ID]


# ---- base subject (RFC 5256 section 2.1) --------------------------------------------------------

_SPACE = re.compile(r"\s+")
_BLOB = r"\[[^\[\]]*+\]\s*+"
_REPLY_OR_FORWARD = rf"(?:re|fwd?)\s*+(?:{_BLOB})?:"
_LEADER = re.compile(rf"\s++|(?:{_BLOB})*{_REPLY_OR_FORWARD}", re.IGNORECASE)
_FIRST_BLOB = re.compile(_BLOB)
_FORWARDED = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


def base_subject(subject: str) -> str:
    """Return a decoded subject without marks of replies and forwards. (RFC 5256 section 2.1)"""
    return _take_apart(subject)[0]


def is_reply(subject: str) -> bool:
    """Return whether a decoded subject has a mark of a reply or a forward. (RFC 5256 section 3)"""
    return _take_apart(subject)[1]


def _take_apart(subject: str) -> tuple[str, bool]:
    """Return the base subject, and whether a mark of a reply or a forward was removed."""
    text, marked = _SPACE.sub(" ", subject), False
    while True:
        shorter = _without_trailers(text)
        marked = marked or shorter != text.rstrip()
        text, has_leader = _without_leaders(shorter)
        marked = marked or has_leader
        forwarded = _FORWARDED.match(text)
        if forwarded is None:
            return text, marked
        text, marked = forwarded[1], True


def _without_trailers(text: str) -> str:
    # A search for the end would begin at each space.
    while True:
        shorter = text.rstrip()
        if shorter[-5:].lower() == "(fwd)":
            shorter = shorter[:-5]
        if shorter == text:
            return text
        text = shorter


def _without_leaders(text: str) -> tuple[str, bool]:
    """Return what is left, and whether one of the leaders was ``Re:`` or ``Fwd:``."""
    start, marked = 0, False
    while True:
        if leader := _LEADER.match(text, start):
            start = leader.end()
            marked = marked or leader[0].endswith(":")
        elif (blob := _FIRST_BLOB.match(text, start)) and blob.end() < len(text):
            # A word in brackets goes, unless nothing would be left.
            start = blob.end()
        else:
            return text[start:], marked
