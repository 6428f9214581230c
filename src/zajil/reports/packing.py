"""What a report is packed in: nothing, gzip (RFC 1952) or a zip archive of one file.

Laws:
- Security: what comes out is counted while it comes out, against a size and against what went in
  (gzip and zip bombs). Nothing is believed that an archive says of its sizes.
- Of an archive the first file is read, in memory; its name never becomes a path.
- What was unpacked is not unpacked again.
"""

from __future__ import annotations

import gzip
import struct
import zlib

from zajil.core.errors import Malformed


class BadReport(Malformed, ValueError):
    """It is no report, or not one that may be read; the text says why."""


MAX_PACKED = 10 * 1024 * 1024
"""A provider's report on a large domain has a few MiB."""
MAX_UNPACKED = 32 * 1024 * 1024
MAX_RATIO = 250
"""XML of many alike rows shrinks to a fiftieth; zeros to a thousandth."""
FREE_SIZE = 1024 * 1024
"""Up to here any ratio will do: a small report of one row a thousand times is none the worse."""

_STEP = 262_144
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
# Of a local file header (APPNOTE.TXT 4.3.7): version, flags, method, time, date, CRC, sizes,
# lengths of name and extra field.
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW = 0x0001, 0x0008


def is_packed(data: bytes) -> bool:
    """Whether it begins as gzip or zip does."""
    return data.startswith((_GZIP, _ZIP))


def unpack_report(data: bytes) -> bytes:
    """Return the XML, or what is in its place, out of whatever it is packed in.

    Raises:
        BadReport: too large before or after, packed twice, damaged, or in a way nobody reads.
    """
    if len(data) > MAX_PACKED:
        raise BadReport("the report is too large")
    if data.startswith(_GZIP):
        found = _inflate(data, 0, 31)
    elif data.startswith(_ZIP):
        found = _unzip(data)
    else:
        return data
    if is_packed(found):
        raise BadReport("it is compressed twice")
    return found


def pack_report(xml: bytes) -> bytes:
    """Pack with gzip; the same report gives the same bytes."""
    return gzip.compress(xml, mtime=0)


def _inflate(data: bytes, start: int, window_bits: int) -> bytes:
    """Inflate one stream."""
    stream = zlib.decompressobj(window_bits)
    out: list[bytes] = []
    size = 0
    most = min(MAX_UNPACKED, max(FREE_SIZE, (len(data) - start) * MAX_RATIO))
    rest = data[start:] if start else data
    try:
        while not stream.eof:
            piece = stream.decompress(rest, _STEP)
            rest = stream.unconsumed_tail
            size += len(piece)
            if size > most:
                raise BadReport("it is too large after decompression")
            if not piece and not rest and not stream.eof:
                raise BadReport("it is truncated")
            out.append(piece)
    except zlib.error:
        raise BadReport("it cannot be decompressed") from None
    return b"".join(out)


def _unzip(data: bytes) -> bytes:
    """Return the first file of an archive, by its local header: nothing after it is looked at."""
    if len(data) < _LOCAL.size:
        raise BadReport("it is truncated")
    _, _, flags, method, _, _, check, packed, _, name, extra = _LOCAL.unpack_from(data)
    start = _LOCAL.size + name + extra
    if flags & _ENCRYPTED:
        raise BadReport("it is encrypted")
    if method == _DEFLATED:
        found = _inflate(data, start, -15)
    elif method == _STORED and not flags & _SIZES_FOLLOW:
        found = data[start : start + packed]
        if len(found) < packed:
            raise BadReport("it is truncated")
    else:
        raise BadReport("its compression method is not supported")
    if not flags & _SIZES_FOLLOW and zlib.crc32(found) != check:
        raise BadReport("it is damaged")
    return found
