"""The store on a PostgreSQL server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.store.engine.dialect import Dialect, Fault, Progress, database_ms
from zajil.store.engine.errors import (
    GONE,
    DatabaseAway,
    NodeGone,
    StoreExists,
    StoreInUse,
    StoreUnavailable,
    in_use,
)

if TYPE_CHECKING:
    from zajil.store.engine.postgres_connection import PostgresConnection


_CONNECTIONS = 8
_OTHERS = 4
"""Connections beside those of reader threads: two write, one listens, one reads for all others."""
_OF_COMMANDS = 10
"""Connections that are left for commands and backups beside a server."""


class Postgres(Dialect):
    """A PostgreSQL server; our tables lie in the first schema of ``search_path``."""

    def __init__(
        self, url: str, patience: float | None = None, connections: int = _CONNECTIONS
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: ``store.url``.
            patience: seconds that one statement may take; ``None``: any time.
            connections: at most so many at the same time: one that listens is among them.

        Raises:
            StoreUnavailable: it is no address.
        """
        # Imported here, because psycopg takes 70 ms and 9 MiB, which a store in SQLite must not
        # pay.
        from zajil.store.engine.postgres_connection import in_haste, read_address

        self._url = url
        self.in_haste = in_haste
        self._patience = patience
        self._parameters = read_address(url)
        self._node: tuple[NodeId, int, Callable[[], None]] | None = None
        """That connections are opened for, its epoch, and whom to tell that this has ended."""
        database = self._parameters.get("dbname", "")
        self.place = f"the database {database} of store.url".replace("  ", " ")
        self.is_local = False
        self.is_shared = True
        self.turn = threading.RLock()
        self.connections = connections
        self.readers = connections - _OTHERS
        # One writes; the second is for the sign of life, and for questions beside it.
        first = _BE_IMPATIENT if patience is None else _BE_FORGOTTEN
        self.writer = self._engine(first, pool_size=2, max_overflow=0)
        self.reader = self._engine(
            pool_size=self.readers,
            max_overflow=1,
            pool_pre_ping=True,
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        )

    def _engine(self, first: LiteralString = "", **options: Any) -> sa.Engine:
        engine = sa.create_engine("postgresql+psycopg://", connect_args=self._parameters, **options)

        def do_connect(_dialect: object, _record: object, _args: object, given: Any) -> object:
            return self._open(given, first)

        sa.event.listen(engine, "do_connect", do_connect)
        return engine

    def connect(self) -> PostgresConnection:
        """Open a connection of its own, outside of transactions; the caller closes it.

        Raises:
            NodeGone: the epoch of our node has ended.
            psycopg.Error: no server can be reached.
        """
        return self._open({**self._parameters, "autocommit": True})

    @contextmanager
    def examining(self) -> Iterator[Connection]:
        """Return a snapshot; says so where commits are not waited for."""
        with self.reader.connect() as conn:
            _require_commits(conn)
            yield conn

    def advise(self, conn: Connection, workers: int) -> list[str]:
        """Say where a standby may lack mail, and where connections may run out."""
        return [
            *_doubt_standby(conn, str(self._parameters.get("host", ""))),
            *self._count_connections(conn, workers),
        ]

    def _count_connections(self, conn: Connection, workers: int) -> Iterator[str]:
        limit = int(conn.scalar(_CONNECTION_LIMIT) or 0)
        nodes = 1
        if conn.scalar(sa.text("SELECT to_regclass('node') IS NOT NULL")):
            active = sa.text("SELECT count(*) FROM node WHERE state = 'active'")
            nodes = max(1, int(conn.scalar(active) or 0))
        needed = nodes * workers * self.connections + _OF_COMMANDS
        if needed > limit:
            yield (
                f"{needed} connections may be needed (nodes {nodes} x server.workers {workers} x "
                f"store.connections {self.connections}, and {_OF_COMMANDS} for commands), and "
                f"PostgreSQL allows {limit}: raise max_connections or the limit of the user or "
                "the database"
            )

    def schema_of(self, conn: Connection) -> str | None:
        """Return the first of the search path."""
        return first_of_search_path(conn)

    @contextmanager
    def creating(self) -> Iterator[Connection]:
        """Return a transaction under an advisory lock; creates the schema."""
        with self.turn, self.writer.begin() as conn:
            schema = _lock_migration(conn)
            _require_commits(conn)
            exists = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")
            if conn.scalar(exists, {"schema": schema}) is None:
                conn.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
            elif sa.inspect(conn).has_table("alembic_version", schema):
                raise StoreExists(
                    f"the schema {schema} of the database already contains tables; "
                    "nothing was changed"
                )
            yield conn

    @contextmanager
    def upgrading(self) -> Iterator[Connection]:
        """Return a transaction under an advisory lock: one upgrade at a time."""
        with self.turn, self.writer.begin() as conn:
            _lock_migration(conn)
            _require_commits(conn)
            yield conn

    def require_alone(self, conn: Connection) -> None:
        """Take the lock that servers share, and look for those that do not know it yet."""
        schema = first_of_search_path(conn)
        lock = sa.text(f"SELECT pg_try_advisory_xact_lock({SERVER_LOCK})")
        if not conn.scalar(lock, {"schema": schema}):
            raise StoreInUse("a server uses the database; stop all servers (nodes) first")
        listening = sa.text(
            "SELECT coalesce(host(client_addr), 'this machine') FROM pg_stat_activity "
            "WHERE datname = current_database() AND query = :query LIMIT 1"
        )
        channel = channel_name(schema).replace('"', '""')
        host = conn.scalar(listening, {"query": f'LISTEN "{channel}"'})
        if host is not None:
            raise StoreInUse(f"a server on {host} uses the database; stop it first")

    def lock_floor(self, conn: Connection, *, alone: bool) -> None:
        """Take an advisory lock."""
        kind = "" if alone else "_shared"
        lock = f"SELECT pg_advisory_xact_lock{kind}(hashtext('zajil floor'), hashtext(:schema))"
        conn.execute(sa.text("SET LOCAL lock_timeout = '20s'"))
        conn.execute(sa.text(lock), {"schema": first_of_search_path(conn)})

    def is_node_connected(self, node: NodeId) -> bool:
        """Try the lock that the workers of a node share."""
        lock = sa.text(f"SELECT pg_try_advisory_xact_lock({NODE_LOCK})")
        try:
            with self.writer.begin() as conn:
                return not conn.scalar(lock, {"node": node})
        except sa.exc.DBAPIError as error:
            raise DatabaseAway(f"cannot reach {self.place}: {error.orig}") from error

    @contextmanager
    def working_alone(self, work: str) -> Iterator[None]:
        """Hold an advisory lock on a connection of its own."""
        try:
            conn = self.writer.connect()
            key = {"work": work, "schema": first_of_search_path(conn)}
            lock = "hashtext('zajil work ' || :work), hashtext(:schema)"
            taken = conn.scalar(sa.text(f"SELECT pg_try_advisory_lock({lock})"), key)
            conn.execute(_STAY_IDLE)  # the lock would go with it
            conn.commit()
        except sa.exc.DBAPIError as error:
            raise DatabaseAway(f"cannot reach {self.place}: {error.orig}") from error
        try:
            if not taken:
                raise in_use(work)
            yield
        finally:
            conn.invalidate()  # the lock goes with the connection
            conn.close()

    def stand_for(self, node: NodeId, epoch: int, when_gone: Callable[[], None]) -> None:
        """Name the node in each connection, and compare the epoch before its first use."""
        self._node = (node, epoch, when_gone)
        self.writer.dispose()
        self.reader.dispose()

    def _open(self, parameters: dict[str, Any], first: LiteralString = "") -> PostgresConnection:
        from zajil.store.engine.postgres_connection import connect

        if self._node is None:
            return connect(parameters, self._patience, first)
        node, epoch, when_gone = self._node
        parameters = {**parameters, "application_name": _name_of(node, epoch)}
        connection = connect(parameters, self._patience, first)
        try:
            row = connection.execute("SELECT epoch FROM node WHERE id = %s", [node]).fetchone()
            connection.rollback()
        except BaseException:
            connection.close()
            raise
        if row != (epoch,):
            connection.close()
            when_gone()
            raise NodeGone(GONE)
        return connection

    def end_connections(self, node: NodeId, epoch: int) -> int:
        """Terminate them; each look is a transaction of its own, because it sees one snapshot."""
        given = {"names": _name_of(node, "%"), "current": _name_of(node, epoch)}
        try:
            with self.writer.begin() as conn:
                return len(conn.execute(_END_CONNECTIONS, given).all())
        except sa.exc.ProgrammingError as error:
            raise StoreUnavailable(
                f"cannot end the connections of node {node}: {error.orig}; all nodes must use the "
                "same user in store.url"
            ) from error

    def time_ms(self, conn: Connection) -> int:
        """Ask the server."""
        return int(conn.scalar(sa.select(database_ms(conn))) or 0)

    def copy_to(self, conn: Connection, path: Path, progress: Progress) -> bool:
        """Copy nothing: pg_dump does."""
        return False

    def size(self, conn: Connection) -> int:
        """Return 0: nothing is copied."""
        return 0

    @contextmanager
    def rehearsing(self, folder: Path, progress: Progress) -> Iterator[tuple[Dialect, str]]:
        """Copy the tables to another schema."""
        from zajil.store.engine.postgres_connection import with_search_path
        from zajil.store.engine.postgres_copy import copied_schema

        with self.examining() as conn:
            source = first_of_search_path(conn)
        with copied_schema(self.writer, source, progress) as name:
            text = with_search_path(self._url, name)
            copy = Postgres(text)
            try:
                yield copy, text
            finally:
                copy.close()

    def used_bytes(self) -> int:
        """Return the size of the tables with their indexes."""
        query = sa.text(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE"
            " relnamespace = to_regnamespace(quote_ident(:schema)) AND relkind = 'r'"
        )
        with self.reader.connect() as conn:
            return int(conn.scalar(query, {"schema": first_of_search_path(conn)}) or 0)

    def tidy(self, conn: Connection) -> None:
        """Leave upkeep to the server's own autovacuum."""

    def be_patient(self, conn: Connection, most_ms: int = 0) -> None:
        """Wait for locks until PostgreSQL sees a deadlock."""
        conn.execute(sa.text(f"SET LOCAL lock_timeout = {most_ms}"))

    def stamp(self) -> object:
        """Return nothing: PostgreSQL has no cheap number for "nothing happened"."""

    def fault(self, error: sa.exc.DBAPIError) -> Fault:
        """Classify the error by its SQLSTATE."""
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in ("40001", "40P01", "55P03"):
            return Fault.PASSING
        if state in ("53100", "53400"):
            return Fault.FULL
        if state == "57014":
            return Fault.ILL  # it took too long, and would again
        if error.connection_invalidated or state.startswith(("08", "57P", "25006")):
            return Fault.LOST
        if state.startswith(("53", "58", "XX")):
            return Fault.ILL
        return Fault.OTHER


_CONNECTION_LIMIT = sa.text(
    "SELECT least("
    "current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true)::int, 0),"
    " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),"
    " (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()))"
)


def _doubt_standby(conn: Connection, hosts: str) -> Iterator[str]:
    names = conn.scalar(sa.text("SHOW synchronous_standby_names"))
    wait = conn.scalar(sa.text("SHOW synchronous_commit"))
    reason = f"synchronous_commit is {wait}" if wait == "local" else ""
    reason = reason or ("" if names else "synchronous_standby_names is empty")
    standbys = conn.scalar(sa.text("SELECT count(*) FROM pg_stat_replication"))
    if reason and (standbys or "," in hosts):
        yield (
            f"PostgreSQL does not wait for a standby ({reason}): if one takes over, mail that "
            "was accepted a moment before can be lost"
        )


SERVER_LOCK = "hashtext('zajil server'), hashtext(:schema)"
"""Key of the advisory lock that each worker shares while it runs, and an upgrade has alone."""


NODE_LOCK = "hashtext('zajil node'), hashtext(:node)"
"""Key of the advisory lock that each worker of a node shares while it runs."""


_END_CONNECTIONS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE :names AND application_name <> :current"
)


_STAY_IDLE = sa.text(
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
)


def _name_of(node: NodeId, epoch: int | str) -> str:
    """Return ``application_name`` of the connections of a node in an epoch."""
    return f"zajil {node}/{epoch}"


def channel_name(schema: str) -> str:
    """Name the channel on which the servers of a schema tell each other of commits."""
    return f"zajil.{schema}"[:63]


_BE_IMPATIENT: LiteralString = "SET lock_timeout = 100"
"""Let a statement fail when it has waited for a lock for 100 ms.

Two batches that wait for each other would do so for a second: PostgreSQL looks for deadlocks no
sooner, and only its administrator can change that (``deadlock_timeout``).
"""

_BE_FORGOTTEN: LiteralString = f"{_BE_IMPATIENT}; SET idle_in_transaction_session_timeout = 10000"
"""Let the server also end a transaction that hears nothing for ten seconds: a network may lose a
connection without a word to either end, and the locks of its transaction would stay for hours."""


def _lock_migration(conn: Connection) -> str:
    conn.execute(sa.text("SET LOCAL lock_timeout = 0"))
    schema = first_of_search_path(conn)
    lock = "SELECT pg_advisory_xact_lock(hashtext('zajil migration'), hashtext(:schema))"
    conn.execute(sa.text(lock), {"schema": schema})
    return schema


def _require_commits(conn: Connection) -> None:
    if conn.scalar(sa.text("SHOW synchronous_commit")) == "off":
        raise StoreUnavailable("PostgreSQL runs with synchronous_commit = off, which can lose mail")


def first_of_search_path(conn: Connection) -> str:
    """Name the schema that tables are made in, whether it exists yet or not."""
    user = str(conn.scalar(sa.text("SELECT current_user")))
    existing = conn.scalar(sa.text("SELECT current_schema()"))
    for part in str(conn.scalar(sa.text("SHOW search_path"))).split(","):
        name = part.strip().strip('"')
        # "$user" stands in every default and means a schema only where somebody made it.
        if name == "$user":
            if existing == user:
                return user
        elif name:
            return name
    raise StoreUnavailable("store.url names no schema: its search_path is empty")
