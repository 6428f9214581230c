"""Read one account from a snapshot: only the chunks that hold it, into a temporary database."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import parse_address
from zajil.core.errors import NotFound
from zajil.core.ids import AccountId, BlobId
from zajil.core.login_name import BadLogin, prepare_login
from zajil.core.value_class import value_class
from zajil.store.backup.read import Snapshot
from zajil.store.engine.dialect import Fault
from zajil.store.engine.errors import StoreFull, StoreUnavailable, WrongSchema, disk_error
from zajil.store.engine.migrate import known_schemas, run_migrations
from zajil.store.engine.sqlite import Sqlite
from zajil.store.people.accounts import AccountRow
from zajil.store.people.personal_tables import TABLES, Restore
from zajil.store.restore.source import AccountSource, Choice, is_below

_PORTION = 1000
_PREFIX = "restore-"
"""Begins the name of the folder of a temporary database."""

Row = dict[str, Any]


class NoSuchAccountThere(NotFound):
    """The backup has no such account."""


@value_class(frozen=True, slots=True, kw_only=True)
class Needed:
    """What of an account is read."""

    choice: Choice
    """Which messages."""
    mail: bool = True
    """Messages, and what connects them."""
    account: bool = True
    """What is restored with an account that is gone."""


def find_account_there(
    snapshot: Snapshot, login_or_address: str, account_id: AccountId | None = None
) -> AccountRow:
    """Return an account of a snapshot: its id, names and time of creation; the rest is empty.

    Args:
        snapshot: of a backup.
        login_or_address: as it was called then.
        account_id: as it is called now, if it has got another name since.

    Raises:
        NoSuchAccountThere: the snapshot has none.
        DamagedBackup, TargetUnavailable: it cannot be read.
    """
    try:
        name = prepare_login(login_or_address)
    except BadLogin:
        name = ""
    column = "address_key" if "@" in name else "login"
    by_id: AccountRow | None = None
    for row in snapshot.rows("account"):
        if row[column] == name:
            return _identity(row)
        if row["id"] == account_id:
            by_id = _identity(row)
    if by_id is None:
        raise NoSuchAccountThere(
            f"the snapshot {snapshot.name} has no account {login_or_address}; "
            "`zajil backup list` lists the snapshots"
        )
    return by_id


def _identity(row: Row) -> AccountRow:
    return AccountRow(
        account_id=AccountId(row["id"]),
        login=row["login"],
        address=parse_address(row["address"]),
        display_name="",
        password_hash="",
        admin=False,
        active=False,
        created_ms=row["created_ms"],
    )


@contextmanager
def loaded_account(
    snapshot: Snapshot, was: AccountRow, needed: Needed, folder: Path
) -> Iterator[AccountSource]:
    """Read an account into a temporary database, which is removed at the end of the block.

    Args:
        snapshot: of a backup.
        was: the account, from ``find_account_there``.
        needed: what of it.
        folder: where the temporary database is made.

    Raises:
        WrongSchema: a newer version made the snapshot.
        DamagedBackup, TargetUnavailable: it cannot be read.
        StoreUnavailable: the temporary database cannot be written.
    """
    schema = snapshot.manifest.schema
    if schema not in known_schemas():
        raise WrongSchema(
            f"the snapshot has schema {schema}, this program knows schemas up to "
            f"{known_schemas()[-1]}: install Zajil {snapshot.manifest.program} or newer"
        )
    with _own_folder(folder) as made:
        database = Sqlite(made / "account.sqlite")
        try:
            with _told(database), database.creating() as conn:
                run_migrations(conn, to=schema)
                _Load(snapshot, conn, was, needed).run()
                run_migrations(conn)
            with database.reader.connect() as conn:
                yield AccountSource(conn, was.account_id, partial(_open_blobs, snapshot))
        finally:
            database.close()


@contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for the time of the block; remove those that killed programs have left."""
    try:
        for left in parent.glob(f"{_PREFIX}*"):
            with _locked(left) as is_mine:
                if is_mine:
                    shutil.rmtree(left, ignore_errors=True)
        own = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent)
    except OSError as error:
        raise disk_error(error, f"cannot make a temporary folder in {parent}") from error
    with own as made, _locked(Path(made)):
        yield Path(made)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder, unless another program has locked it; return whether that was done."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_mine = True
        except BlockingIOError:
            is_mine = False
        yield is_mine
    finally:
        os.close(descriptor)


@contextmanager
def _told(database: Sqlite) -> Iterator[None]:
    """Say in one sentence that the temporary database cannot be written."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        text = " ".join(str(error.orig).split())
        kind = StoreFull if database.fault(error) is Fault.FULL else StoreUnavailable
        raise kind(f"cannot write the temporary database {database.path}: {text}") from error


def _open_blobs(
    snapshot: Snapshot, blob_ids: Iterable[BlobId]
) -> Mapping[BlobId, Callable[[], Iterator[bytes]]]:
    found = snapshot.find_blobs(blob_ids)
    return {
        BlobId(blob_id): partial(snapshot.read_blob, place)
        for blob_id, place in found.items()
        if not place.is_missing
    }


class _Load:
    """Copies the rows of one account."""

    def __init__(
        self, snapshot: Snapshot, conn: Connection, was: AccountRow, needed: Needed
    ) -> None:
        self._snapshot = snapshot
        self._conn = conn
        self._was = was
        self._needed = needed
        self._id = was.account_id

    def run(self) -> None:
        """Copy everything that is needed."""
        self._copy("account", self._rows("account", self._id))
        boxes = [row for row in self._rows("mailbox") if row["account_id"] == self._id]
        self._copy("mailbox", boxes)
        of_boxes = {row["id"] for row in boxes}
        for name in ("mailbox_right", "annotation"):
            self._copy(
                name,
                (
                    row
                    for row in self._rows(name)
                    if row["mailbox_id"] in of_boxes or row["account_id"] == self._id
                ),
            )
        self._copy_own("subscription")
        self._copy_own("contact")
        if self._needed.account:
            self._copy_account()
        if self._needed.mail:
            self._copy_mail(boxes)

    def _copy_account(self) -> None:
        self._copy("address", self._rows("address"))
        key = self._was.address.key
        self._copy(
            "delegation",
            (
                row
                for row in self._rows("delegation")
                if row["account_id"] == self._id or row["address_key"] == key
            ),
        )
        passwords = [row for row in self._rows("app_password") if row["account_id"] == self._id]
        self._copy("app_password", passwords)
        numbers = {row["id"] for row in passwords}
        self._copy(
            "scram_key",
            (row for row in self._rows("scram_key") if row["app_password_id"] in numbers),
        )
        self._copy_own("domain_admin")
        for name, treatment in TABLES.items():
            if treatment.restore is Restore.ROWS and name not in ("subscription", "contact"):
                self._copy_own(name)

    def _copy_mail(self, boxes: list[Row]) -> None:
        choice = self._needed.choice
        for box in boxes:
            if choice.mailbox is None or is_below(box["name"], choice.mailbox):
                rows = self._rows("message", box["id"])
                self._copy("message", filter(choice.includes, rows))
        self._copy_own("thread_link")
        if "thread_link" in self._snapshot.manifest.tables:
            # Each portion of a restore asks for some threads of many.
            self._conn.execute(sa.text("CREATE INDEX by_thread ON thread_link (thread_id)"))

    def _copy_own(self, name: str) -> None:
        """Copy the rows of a table that have the id of the account."""
        table = self._snapshot.manifest.tables.get(name)
        if table is None:
            return
        if table.key[0] == "account_id":
            self._copy(name, self._rows(name, self._id))
        else:
            self._copy(name, (row for row in self._rows(name) if row["account_id"] == self._id))

    def _rows(self, name: str, first: int | None = None) -> Iterator[Row]:
        """Yield rows; those whose key begins with a number, or all."""
        key = None if first is None else (first,)
        return self._snapshot.rows(name, key, key)

    def _copy(self, name: str, rows: Iterable[Row]) -> None:
        found = self._snapshot.manifest.tables.get(name)
        if found is None:
            return
        table = sa.table(name, *[sa.column(column) for column, _ in found.columns])
        portion: list[Row] = []
        for row in rows:
            portion.append(row)
            if len(portion) == _PORTION:
                self._conn.execute(sa.insert(table), portion)
                portion = []
        if portion:
            self._conn.execute(sa.insert(table), portion)
