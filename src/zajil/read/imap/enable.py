"""ENABLE and COMPRESS: what holds for the rest of a connection. (RFC 5161, RFC 4978)"""

from __future__ import annotations

from zajil.imap.command import Compress, Enable
from zajil.imap.feature import Feature
from zajil.imap.response import Completion, untagged
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import Context

OFFERED = frozenset(
    {Feature.UTF8_ACCEPT, Feature.CONDSTORE, Feature.QRESYNC, Feature.UIDONLY, Feature.IMAP4REV2}
)
"""What a client can enable."""


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
        if feature in (Feature.CONDSTORE, Feature.QRESYNC):
            enable_condstore(context)
        enabled.add(feature)
    context.engine.untagged(untagged(b"ENABLED", *[one.wire for one in new]))
    return Completion("OK", "extensions are enabled")


def compress(context: Context, command: Compress) -> Completion:
    """Agree to compress everything that follows the completion. (RFC 4978 section 3)"""
    if context.engine.compressed:
        return Completion("NO", "DEFLATE is active", "COMPRESSIONACTIVE")
    if command.mechanism != "DEFLATE":
        return Completion("NO", "unknown compression mechanism", "CANNOT")
    return Completion("OK", "DEFLATE is active from now on")
