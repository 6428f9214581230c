"""One run of `zajil lab`: start, print the summary, wait or send the messages, stop."""

from __future__ import annotations

import asyncio
import imaplib
import json
import signal
import smtplib
import ssl
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from zajil.config.load import BadConfiguration, load_configuration
from zajil.lab.addresses import NoFreePort
from zajil.lab.database import NoDatabase
from zajil.lab.domains import lab_domains
from zajil.lab.journeys import LabJourneys
from zajil.lab.lab import Lab, LabOptions
from zajil.lab.objects import EMBEDDED, BadObjectsPlace, NoObjects
from zajil.lab.running import RunningDomain, RunningNode
from zajil.lab.send import send_messages
from zajil.lab.server import DomainServer, ServerFailed
from zajil.lab.state import TEMPORARY_PREFIX, LabInUse, locked_folder, remove_abandoned
from zajil.lab.summary import print_summary
from zajil.lab.web import LabWebServer, make_lab_web
from zajil.operations.run import open_admin_store
from zajil.store.engine.errors import StoreUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRequest:
    """What the command line asked for."""

    folder: Path | None = None
    """``None``: a temporary one, removed at the end."""
    more_accounts: int = 0
    workers: int = 2
    database: str | None = None
    nodes: int = 1
    objects: str | None = None
    """Where large messages are in S3: an address, or ``embedded``."""
    overrides: Sequence[str] = ()
    as_json: bool = False
    send: bool = False
    stop_fd: int | None = None
    """End of file on it ends the lab, as a signal does."""


def run_lab(request: LabRequest) -> int:
    """Run a lab until SIGINT or SIGTERM, or until its messages were delivered.

    Returns:
        The exit status: 0 done, 1 it could not be done, 2 an option is wrong.
    """
    if request.nodes > 1 and request.database is None:
        return _fail("--nodes needs PostgreSQL: add --database embedded, or the URL of a server", 2)
    if request.objects == EMBEDDED and request.folder is not None:
        return _fail(
            "--s3 embedded keeps messages in memory, and cannot be used with --dir: give the "
            "address of a bucket",
            2,
        )
    # Before there are threads, an event loop, locked files.
    servers = [DomainServer() for _ in range(len(lab_domains()) - 1 + request.nodes)]
    with ExitStack() as stack:
        folder = request.folder
        if folder is None:
            remove_abandoned(Path(tempfile.gettempdir()))
            made = tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX)
            folder = Path(stack.enter_context(made))
        folder = folder.resolve()
        try:
            stack.enter_context(locked_folder(folder))
            options = LabOptions(
                folder=folder,
                more_accounts=request.more_accounts,
                workers=request.workers,
                database=request.database,
                overrides=tuple(request.overrides),
                nodes=request.nodes,
                objects=request.objects,
            )
            return asyncio.run(_run(Lab(options, servers), request))
        except (BadConfiguration, BadObjectsPlace) as error:
            return _fail(str(error), 2)
        except (
            LabInUse,
            NoDatabase,
            NoFreePort,
            NoObjects,
            ServerFailed,
            StoreUnavailable,
        ) as error:
            return _fail(str(error), 1)
        except OSError as error:
            return _fail(f"{error.filename or folder}: {error.strerror or error}", 1)


async def _run(lab: Lab, request: LabRequest) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    if request.stop_fd is not None:
        loop.add_reader(request.stop_fd, ended.set)
    end = asyncio.create_task(ended.wait())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lab.stop)
        if not await _before(end, lab.start()):
            return 0
        journeys = _open_journeys(lab, stack)
        web = LabWebServer(make_lab_web(lab, journeys))
        lab.web = await web.start(lab.page_port)
        stack.push_async_callback(web.stop)
        if request.as_json:
            # UTF-8 whatever the locale: it is JSON.
            line = json.dumps(lab.describe(), ensure_ascii=False) + "\n"
            sys.stdout.buffer.write(line.encode("utf-8"))
            sys.stdout.buffer.flush()
        else:
            print_summary(lab, Console())
        if request.send:
            return await _send(lab, journeys, to_stderr=request.as_json)
        deaths = [
            asyncio.create_task(_report_death(running, node))
            for running in lab.domains
            for node in running.nodes
        ]
        await end
        for task in deaths:
            task.cancel()
    return 0


async def _before(end: asyncio.Task[Any], work: Coroutine[Any, Any, None]) -> bool:
    """Do the work unless the end comes first; whether it was done."""
    task = asyncio.create_task(work)
    await asyncio.wait([task, end], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
        return True
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return False


def _open_journeys(lab: Lab, stack: AsyncExitStack) -> LabJourneys:
    reads = {}
    for running in lab.domains:
        configuration = load_configuration(running.server.configuration)
        store = stack.enter_context(open_admin_store(configuration))
        reads[running.plan.domain] = store.read_now
    return LabJourneys(reads)


async def _send(lab: Lab, journeys: LabJourneys, *, to_stderr: bool) -> int:
    tls = ssl.create_default_context(cafile=str(lab.ca_file))
    # With --json, stdout belongs to the one line.
    console = Console(stderr=to_stderr)
    try:
        arrived = await asyncio.to_thread(send_messages, lab.domains, journeys, tls, console)
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        return _fail(f"a message could not be sent or read: {error}", 1)
    return 0 if arrived else 1


async def _report_death(running: RunningDomain, node: RunningNode) -> None:
    status = await node.server.wait()
    who = f"{node.name} of {running.plan.domain}" if running.several else running.plan.domain
    _fail(f"the server of {who} has ended (exit status {status}); see {node.server.log}", status)
    if running.several:
        command = f"zajil --config {node.server.configuration} serve"
        _fail(f"to start it again: {command}", status)


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"zajil lab: {text}\n")
    return status
