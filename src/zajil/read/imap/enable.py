"""ENABLE. (RFC 5161)"""

from __future__ import annotations

from zajil.imap.command import Enable
from zajil.imap.feature import Feature
from zajil.imap.response import Completion, untagged
from zajil.read.imap.context import Context

OFFERED = frozenset({Feature.UTF8_ACCEPT})
"""What a client can enable."""

_IMPLIED = {Feature.QRESYNC: {Feature.CONDSTORE}}


def enable(context: Context, command: Enable) -> Completion:
    """Enable those of the named extensions that are offered; the others are ignored."""
    enabled = context.engine.enabled
    new: list[Feature] = []
    for word in command.extensions:
        feature = next((one for one in OFFERED if one.value == word), None)
        if feature is None or feature in new:
            continue
        # One that was enabled before is named again: the client then knows that it is.
        new.append(feature)
        enabled |= {feature, *_IMPLIED.get(feature, ())}
    context.engine.untagged(untagged(b"ENABLED", *[one.value.encode("ascii") for one in new]))
    return Completion("OK", "extensions are enabled")
