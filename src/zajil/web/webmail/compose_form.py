"""What stands in the form of a letter that is being written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData

from zajil.core.ids import MailboxId, Uid
from zajil.login.account import Account
from zajil.operations.drafts import DraftPlace
from zajil.submit.compose import ComposeForm, Direction
from zajil.submit.draft import DraftNote, ReadDraft
from zajil.web.choices import Choices
from zajil.web.webmail.compose_files import FileRef, LetterFile, read_refs
from zajil.web.webmail.compose_rich import (
    as_document,
    cid_url,
    clean_html,
    has_formatting,
    of_document,
    of_text,
    pictures_in,
    place_pictures,
    plain_text,
)
from zajil.web.webmail.mailboxes import read_number

_DIRECTIONS: dict[str, Direction] = {"ltr": "ltr", "rtl": "rtl"}
_FIELDS = (
    *("sender", "to", "cc", "bcc", "subject", "body", "direction"),
    *("in_reply_to", "references", "kind", "source", "place", "html", "receipt"),
)
_PICTURE_WORD = re.compile(r"\[[^\[\]:\n]{1,30}(?:: |(?=\]))")
_END_OF_WORDS = re.compile(r"^-- $|^[^\n>]++\n>|^-{5,} ", re.MULTILINE)
"""Where signature, quote or forwarded message begin."""
_END_OF_HTML = re.compile(r"<div[^>]*>(?:-- ?<|-{5,} )|<div[^>]*>[^<]+</div><blockquote>")
SIGNATURE_LINE = "-- "
_LONGEST_KEPT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What stands in the form."""

    sender: str = ""
    """Wire form of one of the account's addresses; ``""``: its own."""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    body: str = ""
    """Plain text, with ``\\n``."""
    html: str = ""
    """The same with formatting, clean; ``""``: it is written as plain text."""
    direction: str = ""
    """``ltr``, ``rtl``, or ``""`` for what the text says."""
    in_reply_to: str = ""
    references: str = ""
    receipt: str = ""
    """``1``: the recipients are asked for a read receipt."""
    kind: str = ""
    """``reply`` or ``forward``."""
    source: str = ""
    """``MAILBOX.UID`` of the message that this answers or forwards, to be marked so."""
    place: str = ""
    """``MAILBOX/UID`` of the draft as it was saved last; ``""``: it was not saved."""
    refs: tuple[FileRef, ...] = ()
    """Its attachments."""
    pictures: tuple[FileRef, ...] = ()
    """Pictures within ``html``."""

    @property
    def draft(self) -> DraftPlace | None:
        """Where the draft lies."""
        return read_place(self.place)

    @property
    def is_blank(self) -> bool:
        """Nobody has written anything yet."""
        texts = (self.to, self.cc, self.bcc, self.subject, self.body)
        return not (any(map(str.strip, texts)) or self.refs or self.pictures)

    @property
    def all_refs(self) -> tuple[FileRef, ...]:
        """Attachments and pictures."""
        return (*self.refs, *self.pictures)


def read_place(text: str) -> DraftPlace | None:
    """Read ``MAILBOX/UID`` or ``MAILBOX.UID``; ``None``: it is neither."""
    first, _, second = text.replace(".", "/", 1).partition("/")
    mailbox_id, uid = read_number(first), read_number(second)
    if mailbox_id is None or uid is None:
        return None
    return DraftPlace(MailboxId(mailbox_id), Uid(uid))


def spell_place(place: DraftPlace) -> str:
    """Return what ``read_place`` reads."""
    return f"{place.mailbox_id}/{place.uid}"


def read_letter(form: FormData, picture: str = "picture") -> Letter:
    """Return what somebody filled in.

    Args:
        form: as it came. Its field ``rich`` is ``1`` when an editor made the HTML, and ``kept``
            when the HTML is as it was saved: it counts as long as nobody changed the text.
        picture: the word for one in the plain text.
    """
    removed = form.get("remove")
    texts = {name: _text(form, name) for name in _FIELDS}
    texts["direction"] = _text(form, "body_direction")
    texts["body"] = texts["body"].replace("\r\n", "\n")
    rich = _text(form, "rich")
    texts["html"] = clean_html(texts["html"]) if rich in ("1", "kept") else ""
    if texts["html"]:
        plain = plain_text(texts["html"], picture)
        if rich == "kept" and _words(plain) != _words(texts["body"]):
            texts["html"] = ""
        else:
            texts["body"] = plain
    refs = read_refs(form.getlist("file"))
    return Letter(
        **texts,
        refs=tuple(ref for ref in refs if str(ref) != removed),
        pictures=tuple(ref for ref in read_refs(form.getlist("picture")) if str(ref) != removed),
    )


def _words(text: str) -> list[str]:
    """Return what is compared of a text.

    Its language names a picture in another way, and a draft spells the marks of quotes anew.
    """
    return _PICTURE_WORD.sub("[", text).replace(">", " ").split()


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def pack_letter(letter: Letter) -> str:
    """Return a letter as one text, for a page that has to ask for something else first."""
    kept: dict[str, Any] = {name: getattr(letter, name) for name in _FIELDS}
    kept["files"] = [str(ref) for ref in letter.refs]
    kept["pictures"] = [str(ref) for ref in letter.pictures]
    return json.dumps(kept, ensure_ascii=False)


def unpack_letter(text: object) -> Letter | None:
    """Read what ``pack_letter`` wrote; ``None``: it is something else."""
    if not isinstance(text, str) or not text or len(text) > _LONGEST_KEPT:
        return None
    try:
        kept = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(kept, dict):
        return None
    texts = {name: kept.get(name) for name in _FIELDS}
    letter = Letter(
        **{k: v for k, v in texts.items() if isinstance(v, str)},
        refs=_kept_refs(kept.get("files")),
        pictures=_kept_refs(kept.get("pictures")),
    )
    return replace(letter, html=clean_html(letter.html)) if letter.html else letter


def _kept_refs(value: object) -> tuple[FileRef, ...]:
    return read_refs(value) if isinstance(value, list) else ()


def letter_of_draft(
    draft: ReadDraft, place: DraftPlace, account: Account, choices: Choices, picture: str
) -> Letter:
    """Return the form of a draft that was saved here or by another program.

    Args:
        draft: as it was read.
        place: where it lies.
        account: of its author.
        choices: of its author.
        picture: the word for one in plain text.
    """
    html = of_document(draft.html) if draft.note.rich or draft.is_foreign else ""
    text = draft.text
    if draft.is_foreign and html:
        # Its plain text is what another program made of the HTML.
        is_rich = has_formatting(html) or choices.write == "rich"
        text = plain_text(html, picture) if is_rich or not text else text
        html = html if is_rich else ""
    saved = at_place(Letter(html=html), draft, place)
    sender = next(
        (str(one) for one in account.addresses if one.unicode == draft.sender),
        "",
    )
    return replace(
        saved,
        sender=sender,
        to=draft.to,
        cc=draft.cc,
        bcc=draft.bcc,
        subject=draft.subject,
        body=text,
        in_reply_to=draft.in_reply_to,
        references=draft.references,
        receipt="1" if draft.receipt else "",
        kind=draft.note.kind,
        source=draft.note.source,
    )


def at_place(letter: Letter, draft: ReadDraft, place: DraftPlace) -> Letter:
    """Return a letter as it was saved: its place and its files are those of the draft."""
    refs: tuple[list[FileRef], list[FileRef]] = ([], [])
    named = pictures_in(letter.html)
    for file in draft.files:
        # The editor can bring back a picture of ours that the text has no longer.
        is_inside = file.content_id in named or (draft.note.rich and file.is_related)
        is_picture = is_inside and file.content_id != ""
        refs[is_picture].append(FileRef(place.mailbox_id, place.uid, file.number))
    return replace(letter, place=spell_place(place), refs=tuple(refs[0]), pictures=tuple(refs[1]))


def split_files(
    letter: Letter, files: Iterable[LetterFile]
) -> tuple[list[LetterFile], list[LetterFile]]:
    """Return the attachments of a letter, and the pictures in its text."""
    inside = set(letter.pictures) - set(letter.refs) if letter.html else set()
    sides: tuple[list[LetterFile], list[LetterFile]] = ([], [])
    for file in files:
        sides[file.ref in inside and file.content_id != ""].append(file)
    return sides


def html_in_form(letter: Letter, pictures: Iterable[LetterFile]) -> str:
    """Return the HTML of a letter with addresses that show its pictures to its author."""
    return place_pictures(letter.html, {one.content_id: one.address for one in pictures})


def compose_form(
    letter: Letter, account: Account, files: tuple[LetterFile, ...], *, is_sent: bool = False
) -> ComposeForm:
    """Return what a message is made from.

    Args:
        letter: what stands in the form.
        account: of its author.
        files: those of the letter.
        is_sent: leave out pictures that do not stand in the text any more; a draft keeps them,
            because an editor can undo.
    """
    attached, pictures = split_files(letter, files)
    html = letter.html
    if is_sent:
        used = pictures_in(html)
        pictures = [one for one in pictures if one.content_id in used]
        html = place_pictures(html, {one.content_id: cid_url(one.content_id) for one in pictures})
    # Security: only an address of the account's own; submission checks it once more.
    senders = {str(address): address for address in account.addresses}
    return ComposeForm(
        sender=senders.get(letter.sender, account.address),
        sender_name=account.display_name,
        to=letter.to,
        cc=letter.cc,
        bcc=letter.bcc,
        subject=letter.subject,
        text=letter.body,
        html=as_document(html) if html else "",
        direction=_DIRECTIONS.get(letter.direction, "auto"),
        in_reply_to=letter.in_reply_to,
        references=letter.references,
        receipt=letter.receipt == "1",
        files=tuple([file.pieces for file in attached]),
        pictures=tuple([file.pieces for file in pictures]),
    )


def note_of(letter: Letter) -> DraftNote:
    """Return what the fields of a message cannot say of a draft."""
    kind = letter.kind if letter.kind in ("reply", "forward") else ""
    source = letter.source if read_place(letter.source) else ""
    return DraftNote(kind, source, rich=bool(letter.html))


def sign(letter: Letter, account: Account, choices: Choices) -> Letter:
    """Return a letter that has just begun with the signature of its sender, above what it quotes.

    The line in front of a signature is that of RFC 3676 section 4.3.
    """
    senders = {str(address): address for address in account.addresses}
    sender = senders.get(letter.sender, account.address)
    signature = choices.signature_of(sender.key).strip("\n")
    if not signature:
        return letter
    block = f"\n\n{SIGNATURE_LINE}\n{signature}"
    if letter.kind:
        html = of_text(block) + letter.html if letter.html else ""
        return replace(letter, body=block + letter.body, html=html)
    return replace(letter, body=letter.body + block)


def insert_template(letter: Letter, text: str) -> Letter:
    """Return a letter with a text behind its author's words: before signature and quote."""
    if letter.html:
        match = _END_OF_HTML.search(letter.html)
        at = len(letter.html) if match is None else match.start()
        html = letter.html[:at] + of_text(text) + letter.html[at:]
        return replace(letter, html=html, body=plain_text(html))
    match = _END_OF_WORDS.search(letter.body)
    at = len(letter.body) if match is None else match.start()
    words, rest = letter.body[:at].rstrip("\n"), letter.body[at:].lstrip("\n")
    body = f"{words}\n\n{text}" if words else text
    return replace(letter, body=f"{body}\n\n{rest}" if rest else f"{body}\n")
