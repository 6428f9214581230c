"""Expected errors of the command line: one sentence each, and an exit status."""

from __future__ import annotations

import sys
from typing import NoReturn

from zajil.core.errors import Invalid, ZajilError


class WrongUsage(Invalid):
    """The arguments of a command contradict each other, or one cannot be read."""


def fail(error: ZajilError) -> NoReturn:
    """Print the error, and each further one that it carries, and end with its exit status."""
    from zajil.cli.output import printable  # which raises errors of this module

    for one in (error, *getattr(error, "others", ())):
        # Security: an authority, a provider or a database may have written a part of it.
        print(f"zajil: {printable(' '.join(str(one).splitlines()))}", file=sys.stderr)
    raise SystemExit(error.exit_status)
