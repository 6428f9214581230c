"""One program at a time writes to a target: an object named ``lock`` with a time at which it ends.

Laws:
- Who has the lock renews it long before it ends, and stops when it finds that another has it.
- A program of this machine that no longer lives loses its lock at once; of another machine it
  ends by time.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

from zajil.core.clock import Clock
from zajil.core.moment import spell_utc
from zajil.store.backup.target import BackupTarget, NoSuchObject, TargetInUse

NAME = "lock"
LOCK_MS = 900_000
"""How long a lock lasts without being renewed."""
_LONGEST_MS = 86_400_000
"""An end that is further away was written by a clock that was wrong, and counts as over."""


class TargetLock:
    """The lock of a target, for a ``with`` block."""

    def __init__(self, target: BackupTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._owner = secrets.token_hex(16)

    def __enter__(self) -> TargetLock:
        """Take the lock.

        Raises:
            TargetInUse: another program has it.
            TargetUnavailable: the target cannot be written.
        """
        for _ in range(3):
            self._target.put_new(NAME, self._content())
            # A service may have let two programs write it at once: who is in it has it.
            found = self._read()
            if found is not None and found.get("owner") == self._owner:
                return self
            if found is not None:
                self._require_ended(found)
                # Two that find an ended lock both delete it, and one of them writes a new one.
                self._target.delete(NAME)
        raise TargetInUse(f"another program writes to {self._target.place}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        found = self._read()
        if found is not None and found.get("owner") == self._owner:
            self._target.delete(NAME)

    def renew(self) -> None:
        """Prolong the lock.

        Raises:
            TargetInUse: another program has taken it.
            TargetUnavailable: the target cannot be written.
        """
        found = self._read()
        if found is None or found.get("owner") != self._owner:
            raise TargetInUse(f"another program has taken the lock of {self._target.place}")
        self._target.put(NAME, self._content())

    def _content(self) -> bytes:
        until_ms = self._clock.now_ms() + LOCK_MS
        return json.dumps({"owner": self._owner, "until_ms": until_ms, **_process()}).encode()

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._target.get(NAME))
        except NoSuchObject:
            return None
        except (ValueError, RecursionError):
            found = {}
        return found if isinstance(found, dict) else {}

    def _require_ended(self, found: dict[str, Any]) -> None:
        until_ms = found.get("until_ms")
        now_ms = self._clock.now_ms()
        if not isinstance(until_ms, int) or not now_ms < until_ms < now_ms + _LONGEST_MS:
            return
        if _is_dead(found):
            return
        raise TargetInUse(
            f"process {found.get('process')} on {found.get('host')} writes to "
            f"{self._target.place}; if it no longer runs, its lock ends at {spell_utc(until_ms)}"
        )


def _process() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "process": os.getpid(),
        "began": _began(os.getpid()),
    }


def _is_dead(found: dict[str, Any]) -> bool:
    """Whether a process of this machine has ended; ``False`` if that is not certain."""
    # Where systemd hides what other processes are, nothing is certain.
    if found.get("host") != socket.gethostname() or not _boot() or not found.get("boot"):
        return False
    if found.get("boot") != _boot():
        return True
    process = found.get("process")
    return isinstance(process, int) and _began(process) != found.get("began")


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _began(process: int) -> str:
    """Return when a process began, in ticks since the start of the machine; empty: it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        return text.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
