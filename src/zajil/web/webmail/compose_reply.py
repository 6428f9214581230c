"""Letters that begin with another message: replies and forwards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from zajil.core.address import Address
from zajil.login.account import Account
from zajil.message.address_list import parse_address_list
from zajil.message.fields import find_value, read_fields, split_message
from zajil.message.header_view import Person
from zajil.message.large_data import Data
from zajil.operations.drafts import DraftPlace
from zajil.read.shown import ShownMessage
from zajil.submit.draft import spell_person
from zajil.web.language import Language
from zajil.web.page import Visitor
from zajil.web.webmail.compose_files import FileRef
from zajil.web.webmail.compose_form import Letter

_REPLY_PREFIXES = ("re:", "رد:", "aw:", "sv:")
_FORWARD_PREFIXES = ("fwd:", "fw:", "wg:")
_LIST_POST = re.compile(r"<mailto:([^?>\s]{3,320})[?>]", re.IGNORECASE)


def reply(view: ShownMessage, place: DraftPlace, account: Account, *, everybody: bool) -> Letter:
    """Return a reply to the sender of a message, or to everybody."""
    own = {address.unicode.casefold() for address in (account.address, *account.own_addresses)}
    to, cc = view.reply_to or view.senders, (*view.to, *view.cc)
    # Who replies to a message of his own goes on writing to those that it was for.
    if view.senders and all(one.address.casefold() in own for one in view.senders) and view.to:
        to, cc = view.to, view.cc
    to = _each_once(to)
    seen = own | {one.address.casefold() for one in to}
    cc = _each_once(cc, seen) if everybody else ()
    prefix = "" if view.subject.lower().startswith(_REPLY_PREFIXES) else "Re: "
    sender = _addressed_as(view, account.addresses)
    return Letter(
        sender=str(sender) if sender else "",
        to=_spell(to),
        cc=_spell(cc),
        subject=f"{prefix}{view.subject}",
        in_reply_to=view.message_id,
        references=view.references,
        kind="reply",
        source=f"{place.mailbox_id}.{place.uid}",
    )


def reply_to_list(letter: Letter, address: str) -> Letter:
    """Return a reply that goes to the mailing list alone."""
    return replace(letter, to=address, cc="")


def list_address(data: Data) -> str:
    """Return where a mailing list takes messages (RFC 2369 section 3.4); ``""``: there is none."""
    end, _ = split_message(data)
    value = find_value(read_fields(data[: min(end, 1 << 20)]), b"list-post") or b""
    match = _LIST_POST.search(value[:2000].decode("utf-8", "replace"))
    if match is None:
        return ""
    people = parse_address_list(match[1]).people
    return people[0].spec if len(people) == 1 and people[0].address is not None else ""


def forward(
    view: ShownMessage, place: DraftPlace, account: Account, *, as_attachment: bool
) -> Letter:
    """Return a letter that brings a message to somebody else, with its files.

    Args:
        view: the message.
        place: where it lies.
        account: who forwards it.
        as_attachment: enclose the whole message instead.
    """
    prefix = "" if view.subject.lower().startswith(_FORWARD_PREFIXES) else "Fwd: "
    numbers = [""] if as_attachment else [file.number for file in view.attachments if file.number]
    sender = _addressed_as(view, account.addresses)
    return Letter(
        sender=str(sender) if sender else "",
        subject=f"{prefix}{view.subject}",
        references=view.references,
        kind="forward",
        source=f"{place.mailbox_id}.{place.uid}",
        refs=tuple([FileRef(place.mailbox_id, place.uid, number) for number in numbers]),
    )


def quote_for_reply(view: ShownMessage, head: str) -> str:
    """Return the text of a message with a mark in front of each line, below ``head``."""
    lines: list[str] = []
    for paragraph in view.paragraphs:
        mark = ">" * (paragraph.quote_depth + 1)
        lines += [f"{mark} {line}" for line in paragraph.text.split("\n")] + [mark]
    return head + "\n" + "\n".join(lines[:-1]) if lines else ""


def head_of_reply(view: ShownMessage, visitor: Visitor, languages: Mapping[str, Language]) -> str:
    """Return who wrote a message, as the line above its quote; empty lines are in front."""
    author = view.senders[0].label if view.senders else ""
    language = _language_of(view, visitor, languages)
    wrote = language.gettext("%(author)s wrote:") % {"author": author}
    if view.date_ms is not None:
        when = language.moment(view.date_ms, visitor.zone)
        wrote = language.gettext("On %(date)s, %(author)s wrote:") % {
            "date": when,
            "author": author,
        }
    return "\n\n" + wrote


def quote_for_forward(view: ShownMessage, head: str) -> str:
    """Return the text of a message as it is, below ``head``."""
    text = "\n\n".join(_marked(one.text, one.quote_depth) for one in view.paragraphs)
    return head + "\n" + text


def head_of_forward(view: ShownMessage, visitor: Visitor, languages: Mapping[str, Language]) -> str:
    """Return the fields of a forwarded message that its reader needs, and an empty line."""
    language = _language_of(view, visitor, languages)
    gettext = language.gettext
    lines = [gettext("---------- Forwarded message ----------")]
    fields = [(gettext("From"), _spell(view.senders))]
    if view.date_ms is not None:
        fields.append((gettext("Date"), language.moment(view.date_ms, visitor.zone)))
    fields += [
        (gettext("Subject"), view.subject),
        (gettext("To"), _spell(view.to)),
        (gettext("Cc"), _spell(view.cc)),
    ]
    lines += [f"{name}: {value}" for name, value in fields if value]
    return "\n\n" + "\n".join(lines) + "\n"


def _marked(text: str, depth: int) -> str:
    return "\n".join(f"{'>' * depth} {line}" for line in text.split("\n")) if depth else text


def _addressed_as(view: ShownMessage, addresses: tuple[Address, ...]) -> Address | None:
    """Answer as whom the letter was for, when it came by another address."""
    named = {one.address.casefold() for one in (*view.senders, *view.to, *view.cc)}
    return next((one for one in addresses if one.unicode.casefold() in named), None)


def _each_once(people: Iterable[Person], seen: Iterable[str] = ()) -> tuple[Person, ...]:
    """Leave out whose address was there before, in whichever case and under whichever name."""
    found = dict.fromkeys(seen)
    kept: list[Person] = []
    for one in people:
        if one.address.casefold() not in found:
            found[one.address.casefold()] = None
            kept.append(one)
    return tuple(kept)


def _spell(people: Iterable[Person]) -> str:
    return ", ".join(spell_person(one.name, one.address) for one in people)


def _language_of(
    view: ShownMessage, visitor: Visitor, languages: Mapping[str, Language]
) -> Language:
    """Return the language to speak in the answer: that of the message, as far as it shows.

    A line in another script than the text beneath it runs to the other side.
    """
    directions = [one.direction for one in view.paragraphs if one.direction != "auto"]
    if not directions or directions[0] == visitor.language.direction:
        return visitor.language
    return next(
        (one for one in languages.values() if one.direction == directions[0]), visitor.language
    )
