"""Start a server: bind, give up root, prepare the store, and be the supervisor."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from zajil.app.open_files import allow_open_files, files_needed
from zajil.app.running import RunningServer
from zajil.app.shards import leave_shards, prepare_shards
from zajil.app.shared import CannotStart, Permanent, Shared, make_permanent, make_shared
from zajil.check.content.lookalike import load_tables
from zajil.config.options import Configuration
from zajil.config.options_monitor import LogOptions
from zajil.net.listener import BindFailed
from zajil.net.log import log_place, set_up_log
from zajil.net.log_place import LogUnavailable
from zajil.net.logger import get_logger
from zajil.net.system import SystemClock
from zajil.operations.configuration import must_mend, should_mend
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import claim_folder
from zajil.store.engine.life import Prepared
from zajil.tls.context import BadCertificate


def serve(
    configuration: Configuration,
    *,
    file: Path,
    load: Callable[[], Configuration],
    overrides: Sequence[str] = (),
    ready_fd: int | None = None,
    stop_fd: int | None = None,
) -> int:
    """Run a server until SIGTERM or SIGINT; SIGHUP reloads (``app.reload``).

    Args:
        configuration: checked already.
        file: where it was read from.
        load: reads the configuration anew; raises ``BadConfiguration``.
        overrides: what was given by ``--set``, for commands that the server runs.
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
    command = ("--config", str(file), *(f"--set={one}" for one in overrides))
    shared = _prepare(make_permanent(configuration, file, load, command), configuration)
    status = RunningServer(shared, ready_fd).run(stop_fd)
    leave_shards(configuration, shared.permanent.shards.ready)
    log.info("stopped", status=status)
    return status


def _begin_log(options: LogOptions) -> None:
    try:
        set_up_log(options)
    except LogUnavailable as error:
        raise CannotStart(str(error)) from None


def _prepare(permanent: Permanent, configuration: Configuration) -> Shared:
    server = configuration.server
    try:
        shared = make_shared(permanent, configuration)
        _become(server.user)
        claim_folder(server.data_dir)
        permanent.lock.take(server.shutdown_grace_ms / 1000)
        permanent.shards = prepare_shards(
            configuration, SystemClock(), server.shutdown_grace_ms / 1000
        )
        load_tables()
    except (BindFailed, BadCertificate, StoreUnavailable) as error:
        raise CannotStart(str(error)) from error
    for one in permanent.shards.done:
        _tell(one.prepared)
    return shared


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
    upgrade = prepared.upgrade
    if upgrade is not None and upgrade.waits:
        log.warning("the upgrade of the store waits for older nodes", nodes=upgrade.waits)
    if upgrade is not None and upgrade.needed != upgrade.found:
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
