"""The errors of Zajil: two roots, and the families of what a user or an operator can cause.

Each exception class of the tree derives from one of the two roots (``tests/test_errors.py``). The
command line prints the text of a ``ZajilError`` and ends with its exit status; a page answers with
the HTTP status of its family (``web.app``). Everything else is a bug and leaves a traceback.
"""

from __future__ import annotations

from typing import ClassVar

NOT_DONE, WRONG_USAGE = 1, 2


class ZajilError(Exception):
    """A user or an operator can cause it; the text is one sentence for them."""

    exit_status: ClassVar[int] = NOT_DONE


class Invalid(ZajilError):
    """What was typed, uploaded or configured cannot be used as it is."""

    exit_status = WRONG_USAGE


class NotFound(ZajilError):
    """There is no such thing, or it is not visible to the one who asks."""


class AlreadyExists(ZajilError):
    """The name is taken."""


class Refused(ZajilError):
    """A rule, a limit or the present state forbids it."""


class Unavailable(ZajilError):
    """Something that is needed (a disk, a database, a port, a service) does not work now."""


class InternalError(Exception):
    """Raised and caught inside Zajil. One that reaches a user is a bug."""


class Malformed(InternalError):
    """Data of a peer, a message or DNS does not follow its grammar."""
