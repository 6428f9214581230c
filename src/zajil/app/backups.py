"""Makes the backups that are due, each in a process of its own with low priority.

So a backup takes no turn of the event loop or the GIL from mail, and its memory is given back. The
process is the command ``zajil backup create``, which notes in the store what became of it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence

from zajil.config.options_backup import BackupOptions
from zajil.core.clock import Clock
from zajil.net.logger import get_logger
from zajil.store.backup.hold import PORTION, release_held
from zajil.store.backup.runs import (
    BackupRun,
    FailedBackup,
    has_held_blobs,
    load_run,
    record_failed,
)
from zajil.store.engine.open import Store

BACKUP_SECONDS = 60.0
"""Between two looks at whether a backup is due."""
_RETRY_MS = 900_000
"""After a failure."""
_MOST_OUTPUT = 4000
_STOP_SECONDS = 10.0


class BackupMaker:
    """Makes backups of one server."""

    def __init__(
        self, store: Store, options: BackupOptions, clock: Clock, command: Sequence[str]
    ) -> None:
        """Take what is needed.

        Args:
            store: started.
            options: where backups go, and how often they are made.
            clock: for times.
            command: arguments of this program that name its configuration; without any, nothing
                can be made.
        """
        self._store = store
        self._options = options
        self._clock = clock
        self._command = command
        self._log = get_logger()

    async def look(self) -> None:
        """Make a backup if one is due; delete what an earlier one kept and nobody needs.

        Raises:
            StoreUnavailable: it is done the next time.
        """
        while await self._store.read(has_held_blobs):
            if not await self._store.write(release_held, PORTION):
                break  # a backup runs
        place = self._options.target
        if place is None or not self._command:
            return
        run = await self._store.read(lambda conn: load_run(conn, place))
        if not is_due(run, self._options.every_ms, self._clock.now_ms()):
            return
        status, text = await self._run("create")
        after = await self._store.read(lambda conn: load_run(conn, place))
        if after is None or after == run:
            # It ended before it could note anything.
            reason = text or f"the process ended with status {status}"
            await self._store.write(
                record_failed, FailedBackup(place, self._clock.now_ms(), reason)
            )
            after = await self._store.read(lambda conn: load_run(conn, place))
        if after is None or after.error:
            self._log.warning("backup failed", reason=after.error if after else text)
            return
        self._log.info("backup made", snapshot=after.snapshot, left_out=after.left_out)
        status, text = await self._run("prune")
        if status:
            self._log.warning("old backups cannot be deleted", reason=text)

    async def _run(self, word: str) -> tuple[int, str]:
        """Run a command; return its status, and the end of what it said on standard error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "zajil", *self._command, "backup", word, "--json", "--background"),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        text = " ".join(said[-_MOST_OUTPUT:].decode("utf-8", "replace").split())
        return process.returncode or 0, text.removeprefix("zajil: ")


def is_due(run: BackupRun | None, every_ms: int, now_ms: int) -> bool:
    """Return whether a backup is to be made now.

    Args:
        run: what became of the last ones.
        every_ms: ``backup.every``; 0: none is ever due.
        now_ms: the time.
    """
    if not every_ms:
        return False
    if run is None:
        return True
    if run.error:
        return now_ms - run.tried_ms >= min(every_ms, _RETRY_MS)
    return run.done_ms is None or now_ms - run.done_ms >= every_ms


async def _stop(process: Process) -> None:
    """End the command: what it wrote is used by the next one."""
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
