"""Write everything that the server knows of a person to a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zajil.core.actor import Actor
from zajil.core.errors import Refused
from zajil.core.ids import MailId
from zajil.message.vcard import Card, write_card
from zajil.operations.accounts import find_account
from zajil.operations.audit import audit_to_dict
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.operations.moving.destination import Destination
from zajil.operations.moving.mbox_target import MboxTarget
from zajil.operations.moving.model import PIECE, Leaving, NoTarget, OwnMailbox, Report
from zajil.operations.moving.move_in import MovingChoice
from zajil.operations.moving.move_out import export_mail
from zajil.operations.person_readme import README
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.tracking import load_journey
from zajil.store.people.accounts import AccountRow
from zajil.store.people.contacts import get_photo, list_contacts
from zajil.store.people.person import NamedPerson, find_person
from zajil.store.people.personal_rows import (
    deleted_boxes,
    open_deleted,
    personal_rows,
    tables_of,
)
from zajil.store.people.traces import (
    find_audit_traces,
    find_event_traces,
    find_mail_traces,
    load_audit_traces,
    load_event_traces,
)
from zajil.tracking.audit import AccountExported
from zajil.tracking.codec import event_to_dict
from zajil.tracking.journey import journey_to_dict, viewer_of, visible_journey

Progress = Callable[[int, int], None]

_UNFINISHED = ".unfinished"
"""A file in the folder of an export that has not ended."""
TABLE_FILES = (
    "account.json",
    "settings.json",
    "mailboxes.json",
    "correspondents.json",
    "logins.json",
    "learned.json",
)
"""Files with rows of tables (``store.people.personal_tables``)."""


class FolderInUse(Refused):
    """The folder has something else in it."""


@dataclass(slots=True, kw_only=True)
class Exported:
    """What was exported."""

    folder: Path
    mail: Report = field(default_factory=Report)
    deleted: Report = field(default_factory=Report)
    contacts: int = 0
    journeys: int = 0
    sessions: int = 0
    changes: int = 0


async def export_account(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    folder: Path,
    caller: tuple[int, int],
    progress: Progress,
) -> Exported:
    """Write everything about the person of an account, with a text that explains the files.

    An export that was interrupted is continued by the same command. Writing holds up the event
    loop: it is for the command line.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        login_or_address: of the account.
        folder: a new one, an empty one, or that of an export that was interrupted.
        caller: user and group that shall own it.
        progress: told of the messages.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
        FolderInUse: the folder is not empty.
        NoTarget: it cannot be written.
        StoreUnavailable: the database cannot be read now.
    """
    require_admin(actor)
    row = await context.read(lambda conn: find_account(conn, login_or_address))
    person = await context.read(lambda conn: find_person(conn, row.login))
    place = _open_folder(folder, caller)
    done = Exported(folder=folder)
    target = MboxTarget(folder / "mail", caller)
    try:
        done.mail = await export_mail(context, actor, row.login, target, MovingChoice(), progress)
    finally:
        target.close()
    export = _Export(context, row, person, place, done)
    await export.deleted_mail()
    await export.contacts()
    await export.tables()
    await export.journeys()
    await export.records()
    day = datetime.fromtimestamp(context.clock.now_ms() / 1000, UTC)
    text = README.format(address=row.address.unicode, day=f"{day:%Y-%m-%d}")
    _write(place, "README.txt", [text])
    with place.writing():
        (folder / _UNFINISHED).unlink()
    await _record(context, actor, row)
    return done


def _open_folder(folder: Path, caller: tuple[int, int]) -> Destination:
    place = Destination(folder, caller)
    with place.writing():
        names = os.listdir(folder)
        if names and _UNFINISHED not in names:
            raise FolderInUse(f"{folder} is not empty: name a new folder")
        folder.chmod(0o700)
    _write(place, _UNFINISHED, [])
    return place


def _write(place: Destination, name: str, texts: Iterable[str]) -> None:
    """Write a file that only its owner can read, and replace an older one."""
    with place.writing():
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(place.path / name, flags, 0o600)
        file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
    try:
        for text in texts:
            file.write(text)
        file.close()
    except OSError as error:
        raise NoTarget(f"cannot write {place.path / name}: {error.strerror or error}") from error
    finally:
        file.close()


def _array(values: Iterable[Any]) -> Iterator[str]:
    """Yield the text of a JSON array, a line for each value."""
    before = "[\n"
    for value in values:
        yield before + json.dumps(value, ensure_ascii=False, default=str)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


async def _record(context: OperationContext, actor: Actor, row: AccountRow) -> None:
    by = context.stamp(actor)

    def work(_tx: Transaction) -> Recorded[None]:
        return None, [AccountExported(*by, row.account_id, row.login)]

    await context.change(work)


@dataclass(frozen=True, slots=True)
class _Export:
    """Writes the files beside the mail."""

    context: OperationContext
    row: AccountRow
    person: NamedPerson
    place: Destination
    done: Exported

    async def deleted_mail(self) -> None:
        """Write deleted messages that can still be taken back."""
        account_id, store = self.row.account_id, self.context.store
        boxes = await self.context.read(lambda conn: deleted_boxes(conn, account_id))
        target = MboxTarget(self.place.path / "deleted", self.place.caller)
        try:
            for box in boxes:
                own = OwnMailbox(name=box.name, role=None, uid_validity=1, subscribed=False)
                if not target.open(own, self.done.deleted):
                    continue
                after = 0
                while True:
                    found = store.read_now(
                        lambda conn, box=box, after=after: open_deleted(  # type: ignore[misc]
                            conn, store.blobs, account_id, box, after
                        )
                    )
                    if found is None:
                        break
                    after = found.number
                    with found.reader as reader:
                        message = Leaving(
                            uid=found.number,
                            flags=found.flags,
                            received_at_ms=found.received_at_ms,
                            size=reader.size,
                            pieces=lambda reader=reader: _pieces(reader),  # type: ignore[misc]
                        )
                        self.done.deleted.moved += target.put(message)
                target.finish()
        finally:
            target.close()

    async def contacts(self) -> None:
        """Write the address book."""
        account_id = self.row.account_id

        def cards(conn: Snapshot) -> list[str]:
            found: list[str] = []
            for one in list_contacts(conn, account_id):
                photo = get_photo(conn, account_id, one.contact_id) if one.has_photo else None
                card = Card(
                    uid=one.uid,
                    name=one.name,
                    emails=one.emails,
                    phones=one.phones,
                    organisation=one.organisation,
                    note=one.note,
                    groups=one.groups,
                    photo=photo.data if photo is not None else b"",
                )
                found.append(write_card(card))
            return found

        texts = await self.context.read(cards)
        self.done.contacts = len(texts)
        _write(self.place, "contacts.vcf", texts)

    async def tables(self) -> None:
        """Write what tables have of the account."""
        account_id, own = self.row.account_id, self.row.address
        for name in TABLE_FILES:

            def write(conn: Snapshot, name: str = name) -> None:
                _write(self.place, name, _object(conn, name))

            def _object(conn: Snapshot, name: str) -> Iterator[str]:
                before = "{\n"
                for table in tables_of(name):
                    yield f"{before}{json.dumps(table.name)}: "
                    yield from _array(personal_rows(conn, account_id, own, table))
                    before = ","
                yield "}\n"

            await self.context.read(write)

    async def journeys(self) -> None:
        """Write what the person may see of the journeys of its mail."""
        person = self.person
        traces = await self.context.read(lambda conn: find_mail_traces(conn, person))
        ids = sorted({*traces.sent, *traces.received, *traces.waiting})
        names = (self.row.login, *map(str, person.addresses))

        def one(conn: Snapshot, mail_id: MailId) -> dict[str, Any] | None:
            journey = load_journey(conn, mail_id)
            if journey is None:
                return None
            viewer = viewer_of(journey, self.row.account_id, names)
            return None if viewer is None else journey_to_dict(visible_journey(journey, viewer))

        def every() -> Iterator[dict[str, Any]]:
            for mail_id in ids:
                told = self.context.store.read_now(
                    lambda conn, mail_id=mail_id: one(conn, mail_id)  # type: ignore[misc]
                )
                if told is not None:
                    self.done.journeys += 1
                    yield told

        _write(self.place, "journeys.json", _array(every()))

    async def records(self) -> None:
        """Write sessions, and changes in the audit trail."""
        person = self.person

        def sessions(conn: Snapshot) -> list[list[dict[str, Any]]]:
            ids = find_event_traces(conn, person)
            found = load_event_traces(conn, person, ids)
            return [list(map(event_to_dict, events)) for events in found]

        def changes(conn: Snapshot) -> list[dict[str, Any]]:
            ids = find_audit_traces(conn, person)
            return list(map(audit_to_dict, load_audit_traces(conn, person, ids)))

        found = await self.context.read(sessions)
        self.done.sessions = len(found)
        _write(self.place, "sessions.json", _array(found))
        made = await self.context.read(changes)
        self.done.changes = len(made)
        _write(self.place, "audit.json", _array(made))


def _pieces(reader: Any) -> Iterator[bytes]:
    at = 0
    while at < reader.size:
        piece = reader.read_at(at, PIECE)
        at += len(piece)
        yield piece
