"""What a user submits is made fit to travel before it is signed (RFC 6409 section 8).

Header fields in ASCII unless the session said SMTPUTF8, no line longer than 998 octets: what
another server would mend on the way breaks our signature (RFC 6376 section 5.3). What cannot be
mended is refused at once, with words for its author, and not returned hours later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zajil.check.content.format import has_long_line
from zajil.message.fields import Field
from zajil.message.mend_fields import CannotMend, is_fit
from zajil.message.mend_parts import MAX_MENDED, Mended, mend_message
from zajil.message.smtputf8 import is_utf8, raw_part_headers
from zajil.message.source import Source, read_range, size_of


async def mend(
    header: bytes, fields: Sequence[Field], body: bytes | Source, *, utf8: bool
) -> Mended | None:
    """Write a message anew where it cannot travel; ``None``: it can.

    Looks at the whole body; a large one, and the work of mending, does not hold up others.

    Args:
        header: the header section.
        fields: what ``read_fields(header)`` gave.
        body: with the empty line before it.
        utf8: the session said SMTPUTF8.

    Raises:
        CannotMend: it must be refused.
        StoreUnavailable: the body cannot be read.
    """
    if isinstance(body, bytes):
        is_good = _may_travel(header, fields, body, utf8)
    else:
        is_good = await asyncio.to_thread(_may_travel, header, fields, body, utf8)
    return None if is_good else await asyncio.to_thread(_mend, header, body, utf8)


def _may_travel(header: bytes, fields: Sequence[Field], body: bytes | Source, utf8: bool) -> bool:
    if not is_fit(header, utf8=utf8) or has_long_line(body):
        return False
    return all(utf8 and is_utf8(section) for section in raw_part_headers(fields, body))


def _mend(header: bytes, body: bytes | Source, utf8: bool) -> Mended:
    if size_of(body) > MAX_MENDED:
        raise CannotMend("a line or a header field has to be encoded, and the message is too large")
    return mend_message(header, read_range(body, 0, size_of(body)), utf8=utf8)
