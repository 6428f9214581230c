"""What is inside an archive, without unpacking it to anywhere. Pure.

Laws:
- At most ``MAX_MEMBERS`` names, ``MAX_INFLATED`` bytes of one archive; linear in what is read.
- Never raises; nothing becomes a path. What is no archive, or a broken one, has no members.
- Zip is listed by its own small reader: the names of the local headers, which all programs agree
  on when they unpack, and the central directory where the file is whole.
"""

from __future__ import annotations

import re
import struct
import zlib

from zajil.core.value_class import value_class

MAX_MEMBERS = 1000
MAX_INFLATED = 1_048_576
"""Bytes that are unpacked of one archive: enough for the head of a file."""
_BOMB_RATIO = 1000
"""What zip's deflate can reach is 1032; real files stay under a hundred."""


@value_class(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    name: str
    head: bytes
    """Its first bytes; empty where they cannot be had."""
    is_encrypted: bool = False


@value_class(frozen=True, slots=True)
class ArchiveListing:
    """What an archive holds."""

    kind: str
    """``zip``, ``tar``, ``gzip``, ``7z``, ``rar``, ``cab``."""
    members: tuple[Member, ...] = ()
    is_bomb: bool = False
    """It claims to become a thousand times its size, or has too many members."""


def list_archive(data: bytes) -> ArchiveListing | None:
    """List an archive; ``None``: it is none."""
    for magic, kind in _LISTED_BY_MAGIC:
        if data.startswith(magic):
            return ArchiveListing(kind)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _list_zip(data)
    if data.startswith(b"\x1f\x8b"):
        return _list_gzip(data)
    if data[257:262] == b"ustar":
        return ArchiveListing("tar", _list_tar(data))
    return None


_LISTED_BY_MAGIC = (
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"MSCF\0\0\0\0", "cab"),
)


# ---- zip (APPNOTE 6.3.10 section 4.3) -----------------------------------------------------------

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")


def _list_zip(data: bytes) -> ArchiveListing:
    members: list[Member] = []
    budget = MAX_INFLATED
    is_bomb = False
    at = 0
    # The central directory is what programs go by; its offsets lead to the local headers.
    for offset, packed, size in _central(data):
        is_bomb |= size > max(packed, 1) * _BOMB_RATIO and size > MAX_INFLATED
        member, budget = _read_local(data, offset, budget, packed)
        if member is not None:
            members.append(member)
    # Security: what only the local headers name is seen by programs that read in a stream.
    known = {member.name for member in members}
    while len(members) < MAX_MEMBERS and (at := data.find(b"PK\x03\x04", at)) >= 0:
        member, budget = _read_local(data, at, budget, 0)
        if member is not None and member.name not in known:
            known.add(member.name)
            members.append(member)
        at += 4
    return ArchiveListing("zip", tuple(members), is_bomb or len(members) >= MAX_MEMBERS)


def _central(data: bytes) -> list[tuple[int, int, int]]:
    """Return offset, packed and unpacked size of each entry of the central directory."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if end < 0 or end + 22 > len(data):
        return []
    size, start = struct.unpack_from("<2I", data, end + 12)
    at = end - size  # not ``start``: bytes may stand before the archive
    shift = at - start
    found: list[tuple[int, int, int]] = []
    while 0 <= at <= len(data) - _CENTRAL.size and len(found) < MAX_MEMBERS:
        entry = _CENTRAL.unpack_from(data, at)
        if entry[0] != b"PK\x01\x02":
            break
        found.append((entry[16] + shift, entry[8], entry[9]))
        at += _CENTRAL.size + entry[10] + entry[11] + entry[12]
    return found


def _read_local(data: bytes, at: int, budget: int, packed: int) -> tuple[Member | None, int]:
    """Read one local header and the head of its file."""
    if not 0 <= at <= len(data) - _LOCAL.size:
        return None, budget
    entry = _LOCAL.unpack_from(data, at)
    if entry[0] != b"PK\x03\x04":
        return None, budget
    _, _, flags, method, _, _, _, size, _, name_size, extra_size = entry
    begin = at + _LOCAL.size
    raw = data[begin : begin + name_size][:1000]
    name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
    if flags & 1:
        return Member(name, b"", True), budget
    body = begin + name_size + extra_size
    packed = min(packed or size or len(data), 65_536)
    head = _head(data[body : body + packed], method, min(budget, 8192))
    return Member(name, head), budget - len(head)


def _head(packed: bytes, method: int, limit: int) -> bytes:
    if limit <= 0:
        return b""
    if method == 0:
        return packed[:limit]
    return _inflate(packed, -15, limit) if method == 8 else b""


def _inflate(packed: bytes, window: int, limit: int) -> bytes:
    try:
        return zlib.decompressobj(window).decompress(packed, limit)
    except zlib.error:
        return b""


# ---- gzip, tar ----------------------------------------------------------------------------------


def _list_gzip(data: bytes) -> ArchiveListing:
    inner = _inflate(data, 31, MAX_INFLATED)
    if inner[257:262] == b"ustar":
        return ArchiveListing("tar", _list_tar(inner))
    return ArchiveListing("gzip", (Member("", inner[:8192]),))


def _list_tar(data: bytes) -> tuple[Member, ...]:
    """List the headers of a tar: ustar, and the long names of GNU and of pax."""
    found: list[Member] = []
    at, long_name = 0, ""
    while at + _BLOCK <= len(data) and len(found) < MAX_MEMBERS and data[at]:
        header = data[at : at + _BLOCK]
        size = _tar_number(header[124:136])
        if size is None:
            break
        begin = at + _BLOCK
        kind, content = header[156:157], data[begin : begin + min(size, 8192)]
        at = begin + (size + _BLOCK - 1) // _BLOCK * _BLOCK
        if kind == b"L":  # GNU: the name of the next member
            long_name = _tar_text(content)
        elif kind == b"x":
            path = _PAX_PATH.search(content)
            long_name = _tar_text(path[1]) if path else ""
        else:
            folder = _tar_text(header[345:500]) if header[257:262] == b"ustar" else ""
            name = long_name or "/".join(filter(None, (folder, _tar_text(header[:100]))))
            found.append(Member(name[:1000], content if kind in (b"0", b"\0") else b""))
            long_name = ""
    return tuple(found)


_BLOCK = 512
_PAX_PATH = re.compile(rb"\d{1,5} path=([^\n]{1,4096})\n")


def _tar_number(digits: bytes) -> int | None:
    text = digits.strip(b" \0")
    # The base-256 form of GNU is for files that no mail holds.
    return int(text, 8) if _OCTAL.fullmatch(text) else None


_OCTAL = re.compile(rb"[0-7]{1,12}")


def _tar_text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
