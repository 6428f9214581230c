"""Files that come with a mail: what they are by their bytes, not by their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice

from zajil.check.content.archives import list_archive
from zajil.check.content.lookalike import has_direction_control
from zajil.check.verdict.signals import make_reason, printable
from zajil.check.verdict.verdict import Action, Reason
from zajil.message.view import HEAD, Attachment, MessageView

MAX_CHECKED = 100
"""Attachments of one mail that are looked into."""
MAX_ARCHIVE = 8_388_608
"""Bytes of one archive that are read."""

KINDS = ("program", "script", "shortcut", "disk-image", "macros", "archive-encrypted", "active")
"""What an operator may refuse, by name."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
    (b"\xfe\xed\xfa\xce", "program"),
    (b"\xfe\xed\xfa\xcf", "program"),
    (b"\xce\xfa\xed\xfe", "program"),
    (b"\xcf\xfa\xed\xfe", "program"),
    (b"\xca\xfe\xba\xbe", "program"),  # Java classes and fat Mach-O
    (b"#!", "script"),
    (b"L\0\0\0\x01\x14\x02\0", "shortcut"),
    (b"ITSF", "program"),  # compiled help runs scripts
    (b"VHD", "disk-image"),
    (b"conectix", "disk-image"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PROGRAMS = frozenset(
    {
        *("exe", "scr", "com", "pif", "cpl", "msi", "msp", "dll", "jar", "app", "apk", "gadget"),
        *("msc", "chm", "appx", "msix", "xll"),
    }
)
_SCRIPTS = frozenset(
    {
        *("js", "jse", "vbs", "vbe", "wsf", "wsh", "hta", "ps1", "psm1", "bat", "cmd", "sh"),
        *("reg", "sct", "scf", "ws", "py", "pl", "command", "applescript"),
    }
)
_BY_ENDING = {
    **dict.fromkeys(_PROGRAMS, "program"),
    **dict.fromkeys(_SCRIPTS, "script"),
    **dict.fromkeys(("lnk", "url", "desktop", "website"), "shortcut"),
    **dict.fromkeys(("iso", "img", "vhd", "vhdx", "udf"), "disk-image"),
    **dict.fromkeys(("docm", "xlsm", "pptm", "dotm", "xltm", "xlam", "ppam"), "macros"),
}
_HARMLESS = frozenset(
    {
        *("pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "rtf", "jpg", "jpeg", "png"),
        *("gif", "csv", "zip", "htm", "html", "mp3", "mp4", "odt", "wav", "m4a", "tif", "tiff"),
        *("bmp", "webp", "heic", "eml", "msg"),
    }
)
_DANGEROUS = frozenset({*_BY_ENDING, "htm", "html", "shtml", "xhtml", "svg"})
"""What hides behind another ending; a page alone is harmless, one that calls itself a PDF not."""
_PDF_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|OpenAction\s{0,10}<<[^>]{0,200}/JS)[\s/(<]")
_SVG_ACTIVE = re.compile(rb"<script|\son\w{3,20}\s{0,9}=|javascript:", re.IGNORECASE)
_HTML_FORM = re.compile(rb"<form[\s>]|<input[\s>]", re.IGNORECASE)
_HTML_PASSWORD = re.compile(
    rb"<input\s[^>]{0,500}\btype\s{0,9}=[\s\"']{0,9}password", re.IGNORECASE
)
_HTML_START = re.compile(rb"\s{0,200}<(?:!doctype\s{1,9}html|html|head|body|script)", re.IGNORECASE)


def check_attachments(view: MessageView, refuse: Collection[str] = ()) -> list[Reason]:
    """Return what speaks against the files of a mail; usually nothing.

    Args:
        view: the mail.
        refuse: of ``KINDS``; a mail with such a file is refused whatever else is known.
    """
    reasons: list[Reason] = []
    for attachment in islice(view.all_files, MAX_CHECKED):
        reasons += _check_file(view, attachment, refuse)
    if view.has_more_files:
        reasons.append(make_reason("attach.many"))
    reasons.sort(key=lambda reason: reason.weight)  # of several with one name the heaviest counts
    return list({reason.signal: reason for reason in reasons}.values())


def _check_file(
    view: MessageView, attachment: Attachment, refuse: Collection[str]
) -> Iterator[Reason]:
    name = attachment.name
    shown = printable(name) or printable(attachment.content_type)
    if has_direction_control(name):
        yield make_reason("attach.direction-control", name=shown)
    if has_double_ending(name):
        yield make_reason("attach.double-ending", name=shown)
    kind = kind_of(name, view.read_file(attachment.file, HEAD))
    if kind == "ole" and b"V\0B\0A\0" in view.read_file(attachment.file, MAX_ARCHIVE):
        kind = "macros"
    if kind == "active-pdf":
        kind = "active" if _PDF_ACTIVE.search(view.read_file(attachment.file, 262_144)) else ""
    if kind in _SIGNALS:
        yield _tell(kind, shown, refuse)
    elif kind == "archive":
        yield from _check_archive(view.read_file(attachment.file, MAX_ARCHIVE), shown, refuse)
    # Security: some programs save a file under the name that Content-Type says.
    other = attachment.file.part.content_type.parameters.get("name", "")[:1000]
    kind_of_other = kind_of(other, b"") if other != name else ""
    if kind_of_other in _SIGNALS and kind_of_other != kind:
        yield _tell(kind_of_other, printable(other), refuse)


_SIGNALS = {
    "program": "attach.program",
    "script": "attach.script",
    "shortcut": "attach.shortcut",
    "disk-image": "attach.disk-image",
    "macros": "attach.macros",
    "active": "attach.active",
    "html-form": "attach.html-form",
    "html-password": "attach.html-password",
    "html-script": "attach.html-script",
    "archive-encrypted": "attach.encrypted",
}


def _tell(kind: str, shown: str, refuse: Collection[str]) -> Reason:
    reason = make_reason(_SIGNALS[kind], name=shown)
    if kind not in refuse:
        return reason
    return replace(reason, demands=Action.REJECT, is_proof=True)


def kind_of(name: str, head: bytes) -> str:
    """Return what a file is: one of ``KINDS``, ``archive``, ``ole``, or ``""`` for nothing special.

    Its bytes decide; its name only where they say nothing, because a system opens it by its name.
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic) and (magic != b"MZ" or len(head) > 64):
            return kind
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc", b"Rar!", b"MSCF")):
        return "archive"
    if head[257:262] == b"ustar":
        return "archive"
    by_name = _BY_ENDING.get(_ending(name), "")
    if head.startswith(_OLE):
        return by_name or "ole"
    if head[:1024].find(b"%PDF-") >= 0:
        return "active-pdf"
    if b"<svg" in head[:4096] and not _HTML_START.match(head):
        return "active" if _SVG_ACTIVE.search(head) else ""
    if b"<hta:application" in head.lower():
        return "script"
    if _HTML_START.match(head) or _ending(name) in ("htm", "html", "shtml", "xhtml"):
        if _HTML_PASSWORD.search(head):
            return "html-password"
        if _HTML_FORM.search(head):
            return "html-form"
        return "html-script" if b"<script" in head.lower() else ""
    return by_name


def _ending(name: str) -> str:
    if "." not in name:
        return ""
    return _bare(name).rpartition(".")[2].strip().lower()


def _bare(name: str) -> str:
    """Return a name up to its last letter or digit.

    Security: Windows drops dots and spaces at the end, some programs take apostrophes for quotes,
    and characters without a shape are not seen.
    """
    end = len(name)
    while end and not name[end - 1].isalnum():
        end -= 1
    return name[:end]


def has_double_ending(name: str) -> bool:
    """Whether a dangerous ending hides behind a harmless one: ``bill.pdf.exe``."""
    pieces = _bare(name).lower().split(".")
    return (
        len(pieces) > 2
        and pieces[-1].strip() in _DANGEROUS
        and pieces[-2].strip() in _HARMLESS
        and pieces[-1] != pieces[-2]
    )


def _check_archive(data: bytes, shown: str, refuse: Collection[str]) -> Iterator[Reason]:
    """Look at the members of an archive, and of archives in it, one level deep."""
    listing = list_archive(data)
    if listing is None:
        return
    if listing.is_bomb:
        yield make_reason("attach.bomb", name=shown)
    for member in listing.members:
        if member.is_encrypted:
            yield _tell("archive-encrypted", shown, refuse)
        if member.name.endswith(("vbaProject.bin", "vbaProject.bin/")):
            yield _tell("macros", shown, refuse)
            continue
        names = [(member.name, member.head)]
        if inner := list_archive(member.head) if member.head else None:
            names = [(one.name, one.head) for one in inner.members]
        is_tree = max(len(names), len(listing.members)) > _FEW
        for name, head in names:
            kind = kind_of(name, head)
            if kind in ("program", "script", "shortcut", "disk-image", "macros"):
                weight = _SOURCE if kind == "script" and is_tree else None
                yield _in_archive(kind, shown, printable(name), refuse, weight)


_FEW = 5
_SOURCE = 1.5
"""What scripts weigh among more files than that: developers send each other such archives; one that
is nothing but a script is made to be clicked."""


def _in_archive(
    kind: str, shown: str, name: str, refuse: Collection[str], weight: float | None
) -> Reason:
    reason = make_reason("attach.archived-program", weight=weight, name=shown, member=name)
    if kind not in refuse:
        return reason
    return replace(reason, demands=Action.REJECT, is_proof=True)
