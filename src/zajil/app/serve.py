"""Start a server: bind, prepare, fork, and be the supervisor."""

from __future__ import annotations

import gc
import json
import os
import pwd
import signal
import socket
from collections.abc import Callable
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from zajil.app.certificates import make_keeper
from zajil.app.open_files import allow_open_files, files_needed
from zajil.app.reload import differing_options, take_over
from zajil.app.resources import ACCOUNTS
from zajil.app.worker import Shared, close_sockets, run_worker
from zajil.check.content.lookalike import load_tables
from zajil.config.load import BadConfiguration
from zajil.config.options import Configuration
from zajil.config.options_monitor import LogOptions
from zajil.config.options_server import ListenOptions
from zajil.core.errors import Unavailable
from zajil.core.service import Service
from zajil.monitor.meter_table import MeterTable
from zajil.monitor.meters import WORKER_DEATHS
from zajil.net.limits import SLOTS, SessionTable
from zajil.net.listener import BindFailed, bind_for_workers, name_of, remove_unix
from zajil.net.log import log_place, set_up_log
from zajil.net.log_place import LogUnavailable
from zajil.net.logger import get_logger
from zajil.net.service_manager import notify_service_manager
from zajil.net.supervise import Supervisor
from zajil.net.system import SystemClock
from zajil.operations.configuration import certificate_findings, must_mend, should_mend
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import ServerLock, claim_folder
from zajil.store.engine.life import Prepared, prepare_store
from zajil.tls.certificate import read_mark_roots
from zajil.tls.context import BadCertificate, client_context
from zajil.web.language import load_languages

SERVICES = tuple(ListenOptions.model_fields)
"""``smtp``, ``submission`` ...: one list of sockets each."""


class CannotStart(Unavailable):
    """One sentence for the operator: why the server does not run."""


def serve(
    configuration: Configuration,
    *,
    file: Path,
    load: Callable[[], Configuration],
    ready_fd: int | None = None,
    stop_fd: int | None = None,
) -> int:
    """Run a server until SIGTERM or SIGINT; SIGHUP reloads what ``app.reload`` can take over.

    Args:
        configuration: checked already.
        file: where it was read from.
        load: reads the configuration anew; raises ``BadConfiguration``.
        ready_fd: gets one line of JSON when every worker serves: the addresses of each service
            and the supervisor's process id; closed then.
        stop_fd: end of file on it stops the server.

    Returns:
        0 after an orderly end, 1 when the workers could not run.

    Raises:
        CannotStart: a port, file, user or the store cannot be used; nothing was started.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the supervisor takes it
    _begin_log(configuration.log)
    log = get_logger()
    log.info("starting", version=version("zajil"), pid=os.getpid())
    allow_open_files(files_needed(configuration))
    for finding in must_mend(configuration):
        raise CannotStart(str(finding))
    for finding in should_mend(configuration, file, SystemClock().now_ms()):
        log.warning("configuration problem", reason=str(finding))
    shared = _prepare(configuration, load)

    def on_ready() -> None:
        addresses = {
            name: [name_of(sock) for sock, *_ in listening]
            for name, listening in shared.sockets.items()
        }
        log.info("serving", hostname=configuration.server.hostname, **addresses)
        notify_service_manager("READY=1")
        if ready_fd is not None:
            line = json.dumps({**addresses, "pid": os.getpid()}) + "\n"
            os.write(ready_fd, line.encode())
            os.close(ready_fd)

    def on_death(number: int, pid: int, how: str) -> None:
        shared.meters.supervisor().counter(WORKER_DEATHS)()
        log.warning("worker ended, starting another", worker=number, pid=pid, how=how)

    def on_stop() -> None:
        log.info("stopping")
        notify_service_manager("STOPPING=1")
        for sock, *_ in chain.from_iterable(shared.sockets.values()):
            remove_unix(sock)
        close_sockets(shared.sockets)

    supervisor = Supervisor(
        lambda number, pipes: run_worker(shared, number, pipes),
        shared.workers,
        on_ready=on_ready,
        on_death=on_death,
        on_stop=on_stop,
        on_reload=lambda: _reload(shared),
        parent_fd=stop_fd,
        grace_seconds=configuration.server.shutdown_grace_ms / 1000 + 5,
    )
    # The collector ignores what exists now, so that its pages stay shared with the workers.
    gc.freeze()
    status = supervisor.run()
    log.info("stopped", status=status)
    return status


def _begin_log(options: LogOptions) -> None:
    try:
        set_up_log(options)
    except LogUnavailable as error:
        raise CannotStart(str(error)) from None


def _reload(shared: Shared) -> bool:
    """Apply what takes effect at once and log the rest; return whether the workers do the same."""
    log = get_logger()
    try:
        new = shared.load()
        shared.configuration, changed = take_over(shared.configuration, new, shared.server_tls)
    except (BadConfiguration, BadCertificate, LogUnavailable) as error:
        log.error(
            "cannot reload, the old configuration and certificate stay in use", reason=str(error)
        )
        return False
    log.info("reloaded", changed=changed)
    for finding in certificate_findings(shared.configuration, SystemClock().now_ms()):
        log.warning("configuration problem", reason=str(finding))
    waiting = list(differing_options(shared.configuration, new))
    if waiting:
        log.warning("these options take effect at the next start", options=waiting)
    return True


def _prepare(configuration: Configuration, load: Callable[[], Configuration]) -> Shared:
    server, tls = configuration.server, configuration.tls
    workers = server.workers or os.cpu_count() or 1
    sockets: dict[str, list[list[socket.socket]]] = {}
    try:
        for name in SERVICES:
            addresses = getattr(configuration.listen, name)
            sockets[name] = [
                bind_for_workers(address, workers, configuration.net) for address in addresses
            ]
        server_tls = make_keeper(configuration, SystemClock().now_ms())
        need_tls = [name for name in Service if name.has_implicit_tls and sockets[name]]
        if server_tls is None and need_tls:
            raise CannotStart(
                f"listen.{need_tls[0]} requires tls.certificate and tls.key, or acme.directory"
            )
        client_tls = client_context(tls.ca_file, verify=True)
        mark_roots = read_mark_roots(configuration.web.bimi_roots)
        _become(server.user)
        claim_folder(server.data_dir)
        lock = ServerLock(server.data_dir)
        lock.take(server.shutdown_grace_ms / 1000)
        prepared = prepare_store(configuration.store, server.data_dir, clock=SystemClock())
        load_tables()
        if sockets[Service.WEB] or sockets[Service.HTTPS]:
            load_languages()
    except (BindFailed, BadCertificate, StoreUnavailable) as error:
        raise CannotStart(str(error)) from error
    _tell(prepared)
    sessions = {name: SessionTable(workers) for name in (*SERVICES, ACCOUNTS)}
    return Shared(
        configuration=configuration,
        workers=workers,
        sockets=sockets,
        sessions=sessions,
        server_tls=server_tls,
        client_tls=client_tls,
        mark_roots=mark_roots,
        meters=MeterTable(SLOTS),
        lock=lock,
        load=load,
    )


def _tell(prepared: Prepared) -> None:
    log = get_logger()
    for path in prepared.closed:
        log.warning(
            "other users had access to the data folder; permissions corrected", path=str(path)
        )
    if prepared.has_new_node_id:
        log.warning(
            "another server uses the id of this node, probably because the data folder was copied; "
            "a new id was created"
        )
    if (upgrade := prepared.upgrade) is not None:
        log.info(
            "upgraded the store",
            from_schema=upgrade.found,
            to_schema=upgrade.needed,
            copy=str(upgrade.copy) if upgrade.copy else None,
        )


def _become(user: str | None) -> None:
    """Give up root for good, once the ports are bound and the key is read."""
    if os.geteuid() != 0:
        return
    if user is None:
        return
    entry = pwd.getpwnam(user)
    try:
        log_place().give_to(entry.pw_uid, entry.pw_gid)
    except OSError as error:
        get_logger().warning("cannot make the user own the log file", reason=str(error))
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
