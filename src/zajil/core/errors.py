"""The errors of Zajil: two base classes, and the families that a user or operator can cause.

Each exception class of the package derives from one of the two (``tests/test_errors.py``). The
command line prints the text of a ``ZajilError`` and exits with its status; a page is answered with
the HTTP status of its family (``web.app``). All other exceptions are bugs and leave a traceback.
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
