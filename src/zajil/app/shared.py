"""What the workers of one generation share; it is made before they are forked."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from zajil.app.certificates import make_keeper
from zajil.app.resources import ACCOUNTS
from zajil.app.shards import ReadyShards, ShardStart
from zajil.config.options import Configuration
from zajil.config.options_server import ListenOptions
from zajil.core.errors import Unavailable
from zajil.core.service import Service
from zajil.mailauth.mark_certificate import MarkRoots
from zajil.monitor.meter_table import MeterTable
from zajil.net.activation import BadActivation, take_passed_sockets
from zajil.net.limits import SLOTS, SessionTable
from zajil.net.listener_set import Bound, ListenerSet
from zajil.net.system import SystemClock
from zajil.operations.configuration import worker_count
from zajil.store.engine.folder import ServerLock
from zajil.tls.certificate import read_mark_roots
from zajil.tls.context import client_context
from zajil.tls.keeper import TlsKeeper
from zajil.web.language import load_languages

SERVICES = tuple(ListenOptions.model_fields)
"""``smtp``, ``submission`` ...: one list of addresses each."""


class CannotStart(Unavailable):
    """One sentence for the operator: why the server does not run."""


@dataclass(slots=True, kw_only=True)
class Permanent:
    """What stays as it is while the server runs, over all generations."""

    file: Path
    """Of the configuration."""
    command: tuple[str, ...]
    """Arguments of this program that name the configuration: for commands that the server runs."""
    load: Callable[[], Configuration]
    """Reads the configuration anew; raises ``BadConfiguration``."""
    lock: ServerLock
    """Of the data folder; held until the last process has ended."""
    listeners: ListenerSet
    sessions: Mapping[str, SessionTable]
    meters: MeterTable
    """What the supervisor and the workers count, for metrics."""
    shards: ShardStart
    """What was made ready, and the locks of the other data folders, held as ``lock`` is."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """What the workers of one generation share."""

    permanent: Permanent
    configuration: Configuration
    """A reload in place replaces it, in each process for itself."""
    workers: int
    bound: Bound
    """Listening sockets."""
    server_tls: TlsKeeper | None
    """``None``: no certificate is configured. A reload changes it, in each process for itself."""
    client_tls: ssl.SSLContext
    mark_roots: MarkRoots | None
    """``None``: no logos of senders are shown."""
    files: Mapping[str, bytes]
    """Digests of the files that were read for it, by option."""

    def take_sockets(self, index: int) -> dict[str, list[socket.socket]]:
        """Return the sockets of one worker, in its process, and close all others."""
        own = self.bound.of_worker(index, self.workers)
        self.permanent.listeners.keep_only(sock for sockets in own.values() for sock in sockets)
        return own

    def count_sessions(self) -> dict[str, int]:
        """Return the number of open sessions of each service that listens."""
        sessions = self.permanent.sessions
        return {
            name: sessions[name].count() for name, listening in self.wanted().items() if listening
        }

    def wanted(self) -> dict[str, Sequence[str]]:
        """Return the addresses of each service."""
        return self.permanent.listeners.instead_of(wanted_addresses(self.configuration))


def make_permanent(
    configuration: Configuration,
    file: Path,
    load: Callable[[], Configuration],
    command: tuple[str, ...],
) -> Permanent:
    """Make what all generations share; nothing is opened yet.

    Raises:
        CannotStart: sockets that the service manager passed cannot be used.
    """
    return Permanent(
        file=file,
        command=command,
        load=load,
        lock=ServerLock(configuration.server.data_dir),
        listeners=_passed_listeners(),
        sessions={name: SessionTable(SLOTS) for name in (*SERVICES, ACCOUNTS)},
        meters=MeterTable(SLOTS),
        shards=ShardStart(ReadyShards(configuration)),
    )


def _passed_listeners() -> ListenerSet:
    try:
        return ListenerSet.with_passed(take_passed_sockets(SERVICES, {Service.LMTP}))
    except BadActivation as error:
        raise CannotStart(str(error)) from error


def make_shared(
    permanent: Permanent, configuration: Configuration, before: Shared | None = None
) -> Shared:
    """Bind the ports and read the certificates of a configuration.

    Args:
        permanent: of the server.
        configuration: to be used.
        before: what is in use now.

    Raises:
        BindFailed, NeedsRestart, BadCertificate, CannotStart: it cannot be used; nothing changed.
    """
    workers = worker_count(configuration)
    wanted = permanent.listeners.instead_of(wanted_addresses(configuration))
    bound = permanent.listeners.bind(wanted, workers, configuration.net)
    try:
        server_tls = _keeper(configuration, before)
        need_tls = [name for name in Service if name.has_implicit_tls and wanted[name]]
        if server_tls is None and need_tls:
            raise CannotStart(
                f"listen.{need_tls[0]} requires tls.certificate and tls.key, or acme.directory"
            )
        shared = Shared(
            permanent=permanent,
            configuration=configuration,
            workers=workers,
            bound=bound,
            server_tls=server_tls,
            client_tls=client_context(configuration.tls.ca_file, verify=True),
            mark_roots=read_mark_roots(configuration.web.bimi_roots),
            files=digest_files(configuration),
        )
        if wanted[Service.WEB] or wanted[Service.HTTPS]:
            load_languages()
        _import_ahead(configuration)
    except BaseException:
        permanent.listeners.drop(bound)
        raise
    return shared


def _import_ahead(configuration: Configuration) -> None:
    """Import what only some configurations need, before the fork: so the workers share it.

    What shards and messages in S3 need is imported when their stores are prepared.
    """
    needed = {
        "zajil.accept.echo": bool(configuration.mail.echo_accounts),
        "zajil.app.nodes": configuration.store.url != "sqlite",
        "zajil.certificates.upkeep": configuration.acme.directory is not None,
        "zajil.monitor.http": bool(configuration.listen.metrics),
        "zajil.monitor.state": bool(configuration.listen.metrics),
    }
    for name, is_needed in needed.items():
        if is_needed:
            import_module(name)


def wanted_addresses(configuration: Configuration) -> dict[str, Sequence[str]]:
    """Return the addresses of each service, as they are configured."""
    return {name: getattr(configuration.listen, name) for name in SERVICES}


def digest_files(configuration: Configuration) -> dict[str, bytes]:
    """Return digests of files that are read once for all workers, by option."""
    files = {
        "tls.ca_file": configuration.tls.ca_file,
        "web.bimi_roots": configuration.web.bimi_roots,
    }
    found = {}
    for name, path in files.items():
        if path is not None:
            try:
                found[name] = hashlib.sha256(path.read_bytes()).digest()
            except OSError:
                found[name] = b""  # whoever uses it says why
    return found


def _keeper(configuration: Configuration, before: Shared | None) -> TlsKeeper | None:
    """Return what presents the certificates: the same as before, whose tickets clients have."""
    if before is not None and before.server_tls is not None:
        old = before.configuration
        is_same_name = old.server.hostname == configuration.server.hostname
        has_files = bool(configuration.tls.own_files)
        needs_tls = has_files or configuration.acme.directory is not None
        if is_same_name and needs_tls and bool(old.tls.own_files) == has_files:
            return before.server_tls
    return make_keeper(configuration, SystemClock().now_ms())
