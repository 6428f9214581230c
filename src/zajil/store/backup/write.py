"""Write objects to a target, those that it does not have yet."""

from __future__ import annotations

import time
from collections.abc import Callable

from zajil.store.backup.manifest import OBJECTS, object_path
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import BackupTarget

_BEAT_SECONDS = 30.0


class ObjectWriter:
    """Writes chunks, packs and files of one backup."""

    def __init__(self, target: BackupTarget, seal: BackupSeal, beat: Callable[[], None]) -> None:
        """List what the target has.

        Args:
            target: where to.
            seal: of the target.
            beat: called again and again, at most every 30 seconds: renews locks.
        """
        self._target = target
        self._seal = seal
        self._beat = beat
        self._beaten = time.monotonic()
        # Bytes, because a target may have a million objects.
        self._known = {short_name(name.rpartition("/")[2]) for name, _ in target.names(OBJECTS)}
        self.added = 0
        """Bytes that were written."""

    def name_of(self, content: bytes) -> str:
        """Return the name of an object with this content."""
        return self._seal.name_of(content)

    def is_new(self, name: str) -> bool:
        """Return whether the target does not have the object, and none was spooled for it."""
        return short_name(name) not in self._known

    def close(self, name: str, content: bytes) -> bytes:
        """BackupSeal a content that ``put_sealed`` will write; from now on it counts as written."""
        self._known.add(short_name(name))
        return self._seal.close(name, content)

    def put_sealed(self, name: str, sealed: bytes) -> None:
        """Write what ``close`` returned.

        Raises:
            TargetUnavailable: it may be there or not.
        """
        self.beat()
        self._target.put(object_path(name), sealed)
        self.added += len(sealed)

    def put(self, content: bytes) -> str:
        """Write an object, unless the target has it; return its name.

        Raises:
            TargetUnavailable: it may be there or not.
        """
        name = self.name_of(content)
        if self.is_new(name):
            self.put_sealed(name, self.close(name, content))
        else:
            self.beat()
        return name

    def beat(self) -> None:
        """Renew locks, if it is time."""
        if time.monotonic() - self._beaten >= _BEAT_SECONDS:
            self._beat()
            self._beaten = time.monotonic()


def short_name(name: str) -> bytes:
    """Return what tells objects apart in a set: half of the name."""
    return name[:32].encode()
