"""The words of office documents: docx, xlsx, pptx and the OpenDocument formats. Pure.

They are zip archives of XML. The text is what stands between the tags of a few known files; no XML
parser sees it, so no entity is expanded.

Laws:
- At most ``MAX_INFLATED`` bytes are unpacked of one document, and only deflate; linear in that.
- Never raises; what is no document, or a broken one, has no words.
"""

from __future__ import annotations

import html
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator

MAX_INFLATED = 4 << 20
"""Bytes of XML that are read of one document: a book of 300 pages has a fourth of it."""
MAX_DOCUMENT = 16 << 20
"""Bytes of a document; a larger one is not opened."""
_MAX_DIRECTORY = 2000
"""Files of an archive; a document with more is not read."""
_PIECE = 65_536

_TEXTS = re.compile(
    r"word/(?:document|footnotes|endnotes|comments|header\d{1,3}|footer\d{1,3})\.xml"
    r"|xl/sharedStrings\.xml|xl/worksheets/sheet\d{1,3}\.xml"
    r"|ppt/(?:slides/slide|notesSlides/notesSlide)\d{1,3}\.xml|content\.xml"
)
# A word may be divided between runs, but not between paragraphs and cells.
_END = re.compile(r"</(?:w:p|a:p|si|text:p|text:h|c|w:tc)>|<(?:w:br|w:tab|text:tab|text:s|a:br)\b")
_TAG = re.compile(r"<[^<>]*+>")
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,  # encrypted; NotImplementedError: an unknown version
    EOFError,
    OSError,
    ValueError,
    LookupError,
    OverflowError,
)


def is_office_document(content_type: str, name: str) -> bool:
    """Return whether a file is declared as an office document that can be read."""
    is_declared = content_type.startswith(
        ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.")
    )
    return is_declared or name.lower().endswith(_ENDINGS)


_ENDINGS = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".docm", ".xlsm", ".pptm")


def office_text(data: bytes) -> str:
    """Return the text of a document, a line for each paragraph or cell; ``""``: it has none."""
    if not data.startswith(b"PK\x03\x04") or len(data) > MAX_DOCUMENT:
        return ""
    # The number of files stands in the last 22 bytes, or before a comment of 65,535.
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if end < 0 or int.from_bytes(data[end + 10 : end + 12], "little") > _MAX_DIRECTORY:
        return ""
    pieces: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            pieces.extend(_texts(archive))
    except _BROKEN:
        pass  # what was read before counts
    return "".join(pieces)


def _texts(archive: zipfile.ZipFile) -> Iterator[str]:
    room = MAX_INFLATED
    entries = archive.infolist()
    if len(entries) > _MAX_DIRECTORY:
        return
    for entry in entries:
        if not _TEXTS.fullmatch(entry.filename):
            continue
        # Security: the other methods of compression unpack more at a time than is asked for.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            continue
        with archive.open(entry) as file:
            rest = ""
            while room > 0 and (piece := file.read(min(_PIECE, room))):
                room -= len(piece)
                text = rest + piece.decode("utf-8", "replace")
                # A tag or an entity at the end goes on in the next piece.
                cut = max(text.rfind("<"), text.rfind("&"))
                cut = cut if len(text) - cut < _PIECE and cut >= 0 else len(text)
                yield _between_tags(text[:cut])
                rest = text[cut:]
            yield _between_tags(rest) + "\n"


def _between_tags(text: str) -> str:
    return html.unescape(_TAG.sub("", _END.sub("\n\\g<0>", text)))
