"""MODSEQs that the client is told, and up to which of them it knows everything. (RFC 7162)

Law: the highest MODSEQ a client may conclude from the answer to a command (RFC 7162 section 6) is
one up to which it was told of all changes. Where it would conclude more, because an EXPUNGE has to
wait or a message was read that is newer than what was reported, the answer has HIGHESTMODSEQ.
"""

from __future__ import annotations

from dataclasses import replace

from zajil.imap.feature import Feature
from zajil.imap.response import Completion, untagged_status
from zajil.read.imap.context import Context


def enable_condstore(context: Context) -> None:
    """Tell MODSEQs from now on: the client sent a command that asks for it. (Section 3.1)"""
    enabled, view = context.engine.enabled, context.view
    if Feature.CONDSTORE in enabled:
        return
    enabled.add(Feature.CONDSTORE)
    if view is not None:
        code = f"HIGHESTMODSEQ {view.safe_modseq}"
        context.engine.untagged(untagged_status("OK", "MODSEQs are told from now on", code))


def complete(context: Context, completion: Completion) -> Completion:
    """Add HIGHESTMODSEQ to the answer of a command, if the client needs it."""
    view = context.view
    if view is None or Feature.CONDSTORE not in view.enabled:
        return completion
    needs_it = view.vanished or view.sent_modseq > view.safe_modseq
    view.vanished, view.sent_modseq = False, 0
    if not needs_it:
        return completion
    code = f"HIGHESTMODSEQ {view.safe_modseq}"
    if completion.status == "OK" and completion.code is None:
        return replace(completion, code=code)
    context.engine.untagged(untagged_status("OK", "all changes until then were told", code))
    return completion
