"""What can go wrong with the store as a whole; each becomes 4yz, never 5yz."""

from __future__ import annotations

import errno

from zajil.core.errors import Unavailable

MISSING_ADVICE = (
    "restore it from a backup, or correct the configuration; "
    "`zajil store create` creates a new store"
)
"""What to do when there is no store; a sentence about what is missing goes before it."""


class StoreError(Unavailable):
    """Base of the family: the world is ill, not the request."""


class StoreUnavailable(StoreError):
    """The store cannot be opened or written now; the text is one sentence for an operator."""


class DatabaseAway(StoreUnavailable):
    """The database server cannot be reached, or does not serve now; it may come back."""


class BytesAway(StoreUnavailable):
    """The bytes of a message are elsewhere, and cannot be read now; its row and others can."""


class NoStore(StoreUnavailable):
    """There is no store where the configuration says, or what is there is not one of ours."""


class StoreExists(StoreUnavailable):
    """A store already exists; nothing was changed."""


class StoreInUse(StoreUnavailable):
    """A server or another program uses the store, and must not now."""


def in_use(work: str) -> StoreInUse:
    """Return the error of a command that must wait for another one of its kind."""
    return StoreInUse(f"another `zajil {work}` is running: try again when it has ended")


class WrongSchema(StoreUnavailable):
    """The tables of the store are those of an older or a newer program."""


class OlderSchema(WrongSchema):
    """``zajil upgrade run`` brings them up to date."""


class FilesOfOneNode(StoreUnavailable):
    """A second node cannot use the store: messages are in files that only the first one has."""


class CannotUndo(StoreUnavailable):
    """There is no upgrade that could be undone; nothing was changed."""


class NodeGone(StoreUnavailable):
    """Others took over the work of this node, because it showed no sign of life: its processes
    write nothing more, and end."""


GONE = "other nodes took over the work of this node"
"""The text of ``NodeGone``."""


class NodeTaken(StoreUnavailable):
    """Another server entered under the id of this node: no worker of this one may serve."""


TAKEN = (
    "another server started under the id of this node, because its data folder is a copy of this "
    "one, or this one is a copy of it; this server ends: start it again, and it gets its own id"
)
"""The text of ``NodeTaken``."""


class StoreFull(StoreUnavailable):
    """No space for new mail: 452 4.3.1. Reading and deleting go on."""


class ReserveReached(StoreFull):
    """Less space is free than the reserve: nothing was written, which of ``StoreFull`` is not
    always sure, so what was staged may go."""


def one_line(cause: object) -> str:
    """Return what a database says, which may have several lines, in one."""
    return " ".join(str(cause).split())


class NotOnReplica(StoreUnavailable):
    """The standby does not have yet what a question is about; the primary answers."""


def disk_error(error: OSError, what: str) -> StoreUnavailable:
    """Describe a disk error in one sentence, and whether the disk is full."""
    kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreUnavailable
    return kind(f"{what}: {error.strerror or error}")
