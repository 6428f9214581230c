"""What stands in the form of a letter that is being written."""

from __future__ import annotations

import json
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
from zajil.web.webmail.compose_rich import as_document, clean_html, of_document, plain_text
from zajil.web.webmail.mailboxes import read_number

_DIRECTIONS: dict[str, Direction] = {"ltr": "ltr", "rtl": "rtl"}
_FIELDS = (
    *("sender", "to", "cc", "bcc", "subject", "body", "direction"),
    *("in_reply_to", "references", "kind", "source", "place", "html"),
)
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
    kind: str = ""
    """``reply`` or ``forward``."""
    source: str = ""
    """``MAILBOX.UID`` of the message that this answers or forwards, to be marked so."""
    place: str = ""
    """``MAILBOX/UID`` of the draft as it was saved last; ``""``: it was not saved."""
    refs: tuple[FileRef, ...] = ()

    @property
    def draft(self) -> DraftPlace | None:
        """Where the draft lies."""
        return read_place(self.place)

    @property
    def is_blank(self) -> bool:
        """Nobody has written anything yet."""
        texts = (self.to, self.cc, self.bcc, self.subject, self.body)
        return not (any(map(str.strip, texts)) or self.refs)


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


def read_letter(form: FormData) -> Letter:
    """Return what somebody filled in."""
    removed = form.get("remove")
    texts = {name: _text(form, name) for name in _FIELDS}
    texts["direction"] = _text(form, "body_direction")
    texts["body"] = texts["body"].replace("\r\n", "\n")
    texts["html"] = clean_html(texts["html"]) if _text(form, "rich") == "1" else ""
    if texts["html"]:
        texts["body"] = plain_text(texts["html"])
    refs = read_refs(form.getlist("file"))
    return Letter(**texts, refs=tuple(ref for ref in refs if str(ref) != removed))


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def pack_letter(letter: Letter) -> str:
    """Return a letter as one text, for a page that has to ask for something else first."""
    kept: dict[str, Any] = {name: getattr(letter, name) for name in _FIELDS}
    kept["files"] = [str(ref) for ref in letter.refs]
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
    files = kept.get("files")
    refs = read_refs(files) if isinstance(files, list) else ()
    letter = Letter(**{k: v for k, v in texts.items() if isinstance(v, str)}, refs=refs)
    return replace(letter, html=clean_html(letter.html)) if letter.html else letter


def letter_of_draft(draft: ReadDraft, place: DraftPlace, account: Account) -> Letter:
    """Return the form of a draft that was saved here or by another program."""
    sender = next(
        (str(one) for one in account.addresses if one.unicode == draft.sender),
        "",
    )
    return Letter(
        sender=sender,
        to=draft.to,
        cc=draft.cc,
        bcc=draft.bcc,
        subject=draft.subject,
        body=draft.text,
        html=of_document(draft.html) if draft.note.rich else "",
        in_reply_to=draft.in_reply_to,
        references=draft.references,
        kind=draft.note.kind,
        source=draft.note.source,
        place=spell_place(place),
        refs=refs_of(draft, place),
    )


def refs_of(draft: ReadDraft, place: DraftPlace) -> tuple[FileRef, ...]:
    """Return the files of a draft."""
    return tuple([FileRef(place.mailbox_id, place.uid, file.number) for file in draft.files])


def compose_form(letter: Letter, account: Account, files: tuple[LetterFile, ...]) -> ComposeForm:
    """Return what a message is made from."""
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
        html=as_document(letter.html) if letter.html else "",
        direction=_DIRECTIONS.get(letter.direction, "auto"),
        in_reply_to=letter.in_reply_to,
        references=letter.references,
        files=tuple([file.pieces for file in files]),
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
        return replace(letter, body=block + (letter.body or ""))
    return replace(letter, body=letter.body + block)
