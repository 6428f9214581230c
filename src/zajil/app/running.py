"""A server that runs, as its supervisor's process sees it: what it tells, and how it reloads."""

from __future__ import annotations

import functools
import gc
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from zajil.app.open_files import allow_open_files, files_needed
from zajil.app.reload import ReloadOutcome, make_successor, take_over
from zajil.app.shared import CannotStart, Shared
from zajil.app.worker import run_worker
from zajil.config.difference import differing_options, restart_options
from zajil.config.load import BadConfiguration
from zajil.config.options import Configuration
from zajil.monitor.meters import WORKER_DEATHS
from zajil.net.control import ControlClient, ControlServer
from zajil.net.generation import GenerationPlan, Reload, WorkerPlace
from zajil.net.limits import SLOTS
from zajil.net.listener import BindFailed, name_of
from zajil.net.log_place import LogUnavailable
from zajil.net.logger import get_logger
from zajil.net.service_manager import notify_of_reload, notify_service_manager
from zajil.net.supervise import Supervisor
from zajil.net.system import SystemClock
from zajil.operations.configuration import must_mend, should_mend
from zajil.tls.context import BadCertificate


class RunningServer:
    """What the supervisor works for.

    Args:
        shared: of the first generation.
        ready_fd: gets one line of JSON when every worker serves; ``None``: nobody waits for it.
    """

    def __init__(self, shared: Shared, ready_fd: int | None) -> None:
        self._shared = shared
        self._next: Shared | None = None
        self._pending = ReloadOutcome(ok=True)
        """What becomes of the reload that is under way, if the new workers serve."""
        self._generation = 1
        self._since_ms = SystemClock().now_ms()
        self._ready_fd = ready_fd
        self._control = ControlServer(self._take_request)
        self._asked: list[ControlClient] = []
        """They wait for a reload that has not begun."""
        self._answering: list[ControlClient] = []
        """They wait for the one under way."""
        self._log = get_logger()

    def run(self, stop_fd: int | None) -> int:
        """Serve until a signal or end of file on ``stop_fd``; return the exit status."""
        shared = self._shared
        shared.permanent.listeners.adopt(shared.bound)
        try:
            self._control.open(shared.configuration.server.data_dir)
        except OSError as error:
            self._log.warning("no requests of `zajil reload` can be taken", reason=str(error))
        self._supervisor = Supervisor(self, _plan(shared), slots=SLOTS, parent_fd=stop_fd)
        _share_memory()
        return self._supervisor.run()

    # ---- net.generation.Owner ----------------------------------------------------------------

    def serving(self) -> None:
        """Tell everybody who waits for the server."""
        addresses = self._addresses()
        hostname = self._shared.configuration.server.hostname
        self._log.info("serving", hostname=hostname, **addresses)
        notify_service_manager("READY=1")
        if self._ready_fd is not None:
            line = json.dumps({**addresses, "pid": os.getpid()}) + "\n"
            with suppress(BrokenPipeError):  # whoever waited is gone
                os.write(self._ready_fd, line.encode())
            os.close(self._ready_fd)

    def reload(self) -> Reload:
        """Read the configuration anew, and open what it needs."""
        notify_of_reload()
        self._answering, self._asked = self._asked, []
        changed: list[str] = []
        try:
            return self._begin_reload(changed)
        except (
            BadConfiguration,
            BadCertificate,
            BindFailed,
            CannotStart,
            LogUnavailable,
        ) as error:
            reason = str(error)
        except Exception as error:  # whatever it is, the old workers go on
            self._log.error("a reload failed", exc_info=error)
            reason = f"unexpected error {error!r}; the log says more"
        self._finish(ReloadOutcome(ok=False, changed=tuple(changed), error=reason))
        return Reload(in_place=bool(changed))

    def _begin_reload(self, changed: list[str]) -> Reload:
        """Do what can be done at once; ``changed`` gets the options that are exchanged in place."""
        shared = self._shared
        new = shared.permanent.load()
        shared.configuration, in_place = take_over(shared.configuration, new, shared.server_tls)
        changed += in_place
        warnings = self._warnings(new)
        successor = make_successor(shared, new)
        outcome = ReloadOutcome(
            ok=True,
            changed=(*changed, *successor.changed),
            restart=successor.restart,
            warnings=warnings,
        )
        if successor.shared is None:
            self._finish(outcome)
            return Reload(in_place=True)
        self._log.info("starting new workers", changed=list(successor.changed))
        self._next, self._pending = successor.shared, outcome
        allow_open_files(files_needed(successor.shared.configuration))
        _share_memory()
        return Reload(in_place=True, plan=_plan(successor.shared))

    def switched(self, generation: int) -> None:
        """Use the new configuration from now on."""
        new, self._next = self._next, None
        if new is None:
            raise RuntimeError("no configuration waits for these workers")
        self._shared, self._generation = new, generation
        new.permanent.listeners.adopt(new.bound)
        self._finish(self._pending)

    def not_switched(self, reason: str) -> None:
        """Go on with the old configuration."""
        failed, self._next = self._next, None
        if failed is not None:
            failed.permanent.listeners.drop(failed.bound)
        self._finish(ReloadOutcome(ok=False, error=f"{reason}; the log says more"))

    def worker_ended(self, place: WorkerPlace, pid: int, how: str, *, is_replaced: bool) -> None:
        """Log it."""
        self._shared.permanent.meters.supervisor().counter(WORKER_DEATHS)()
        event = "worker ended, starting another" if is_replaced else "worker ended"
        self._log.warning(event, worker=place.slot, generation=place.generation, pid=pid, how=how)

    def cannot_start_worker(self, reason: str) -> None:
        """Log it."""
        self._log.error("cannot start a worker, trying again", reason=reason)

    def retired(self, generation: int) -> None:
        """Log it."""
        self._log.info("the last session of old workers ended", generation=generation)

    def takes_slot(self, slot: int) -> None:
        """Count the sessions of one more worker."""
        for table in self._shared.permanent.sessions.values():
            table.use(slot)

    def left_slot(self, slot: int) -> None:
        """Count the sessions of a worker that has ended no more."""
        for table in self._shared.permanent.sessions.values():
            table.clear(slot)

    def stopping(self) -> None:
        """Listen no more."""
        self._log.info("stopping")
        notify_service_manager("STOPPING=1")
        self._shared.permanent.listeners.close()
        self._control.close()

    # ---- requests of `zajil reload`, `status` and `config check` --------------------------------

    def descriptors(self) -> Sequence[int]:
        """Return those of the control socket."""
        return self._control.descriptors()

    def readable(self, descriptor: int) -> None:
        """Take a request."""
        self._control.readable(descriptor)

    def leave(self) -> None:
        """Close the control socket in a worker, and the connections that wait for an answer."""
        self._control.leave()
        for client in (*self._asked, *self._answering):
            client.sock.close()

    def _take_request(self, client: ControlClient, request: Mapping[str, Any]) -> None:
        match request.get("do"):
            case "reload":
                self._asked.append(client)
                self._supervisor.ask_for_reload()
            case "status":
                client.answer(self._status())
            case _:
                client.answer({"error": "the server does not know this request"})

    def _status(self) -> dict[str, Any]:
        shared = self._shared
        workers = [
            {"pid": one.pid, "slot": one.slot, "generation": generation.number}
            for generation in self._supervisor.generations
            for one in generation.workers.values()
        ]
        return {
            "version": version("zajil"),
            "pid": os.getpid(),
            "since_ms": self._since_ms,
            "hostname": shared.configuration.server.hostname,
            "configuration": str(shared.permanent.file),
            "generation": self._generation,
            "workers": workers,
            "sessions": shared.count_sessions(),
            "listen": self._addresses(),
            "restart": self._waiting(),
        }

    def _waiting(self) -> list[str]:
        """Name the options of the file as it is now that the next start will apply."""
        shared = self._shared
        try:
            new = shared.permanent.load()
        except BadConfiguration:
            return []
        except Exception as error:  # a question ends nothing
            self._log.error("cannot read the configuration", exc_info=error)
            return []
        differing = set(differing_options(shared.configuration, new))
        return [name for name in restart_options() if name in differing]

    def _addresses(self) -> dict[str, list[str]]:
        services = self._shared.bound.services
        return {name: [name_of(sock) for sock, *_ in bound] for name, bound in services.items()}

    # ---- the end of a reload -----------------------------------------------------------------

    def _warnings(self, new: Configuration) -> tuple[str, ...]:
        now_ms, file = SystemClock().now_ms(), self._shared.permanent.file
        return tuple(str(one) for one in (*must_mend(new), *should_mend(new, file, now_ms)))

    def _finish(self, outcome: ReloadOutcome) -> None:
        """Tell everybody who waits for the outcome of a reload."""
        log = self._log
        if outcome.ok:
            log.info("reloaded", changed=list(outcome.changed), generation=self._generation)
        else:
            log.error("cannot reload, the old configuration stays in use", reason=outcome.error)
        for reason in outcome.warnings:
            log.warning("configuration problem", reason=reason)
        if outcome.restart:
            options = list(outcome.restart)
            log.warning("these options take effect at the next start", options=options)
        notify_service_manager("READY=1")
        for client in self._answering:
            client.answer({**asdict(outcome), "generation": self._generation})
        self._answering = []


def _plan(shared: Shared) -> GenerationPlan:
    server = shared.configuration.server
    return GenerationPlan(
        run_worker=functools.partial(run_worker, shared),
        workers=shared.workers,
        silence_seconds=server.worker_timeout_ms / 1000,
        grace_seconds=server.shutdown_grace_ms / 1000 + 5,
    )


def _share_memory() -> None:
    """Have the collector ignore what exists now: its pages stay shared with workers to come.

    What was ignored before stays so: to look at it writes to all of its pages, which old workers
    share. Of an old configuration only reference cycles would stay, and it has none.
    """
    gc.collect()
    gc.freeze()
