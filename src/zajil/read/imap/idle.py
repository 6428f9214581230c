"""IDLE: the client waits, we tell. (RFC 2177)"""

from __future__ import annotations

from zajil.imap.command import IdleDone
from zajil.imap.response import Completion
from zajil.read.imap.context import Context
from zajil.read.imap.select import report


async def begin(context: Context) -> None:
    """Answer with the continuation, after a look: what came before IDLE is told at once."""
    await report(context, expunge=True, look=True)
    context.engine.go_ahead(b"idling")


def finish(event: IdleDone) -> Completion:
    """Answer the end of IDLE."""
    return Completion("OK", "idle is over") if event.clean else Completion("BAD", "DONE expected")
