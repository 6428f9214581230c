"""Which files of a folder are mbox files, and what their mailboxes are called.

Forms: one file; files in folders (Dovecot, Pine, readpst, our own export); Thunderbird
(``Work`` beside ``Work.sbd/Offers``); KMail (``.Work.directory/Offers``); Apple Mail
(``Work.mbox/mbox``); Gmail Takeout.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from zajil.core.value_class import value_class
from zajil.message.mbox_read import begins_as_mbox
from zajil.operations.moving.model import Report, Unreadable
from zajil.operations.moving.names import read_level
from zajil.operations.moving.tree import MAX_LEVELS, FileBytes, Tree, report_link, shown_path

_SUFFIXES = (b".mbox", b".mbx", b".mbs")
_FOLDER_SUFFIXES = (b".mbox", b".sbd", b".imapmbox", b".partial.mbox")
_INDEXES = re.compile(
    rb".*\.(msf|dat|json|lock|plist|html|sqlite|index|ids|cache|uidvalidity|toc|rc|css|summary|log"
    rb"|part)|table_of_contents|\.DS_Store|msgFilterRules\.dat",
    re.IGNORECASE,
)
"""Files of mail programs beside mbox files: nobody misses them."""
_OTHER_FORMATS = {
    b".pst": "a file of Outlook; use zajil import pst",
    b".ost": "a file of Outlook; export it as PST first",
    b".emlx": "a message of Apple Mail; export the mailbox there as mbox first",
    b".dbx": "a file of Outlook Express, which is not read",
    b".zip": "an archive; unpack it first",
    b".tgz": "an archive; unpack it first",
    b".gz": "compressed; unpack it first",
}
_SPOOLS = ("/var/mail", "/var/spool/mail")


@value_class(frozen=True, slots=True)
class MboxFile:
    """One file."""

    place: bytes
    """Path below the tree; ``b""``: the tree is this file."""
    levels: tuple[str, ...]
    size: int


def find_files(tree: Tree, report: Report) -> Iterator[MboxFile]:
    """Yield the mbox files of a tree; those that are none are left out."""
    if tree.is_file:
        yield MboxFile(b"", _single_levels(tree.path), os.fstat(tree.descriptor).st_size)
        return
    waiting: list[tuple[bytes, tuple[str, ...]]] = [(b"", _own_levels(tree.path))]
    while waiting:
        place, levels = waiting.pop()
        try:
            items = tree.list(place)
        except Unreadable as error:
            report.leave_out(shown_path(place) or str(tree.path), str(error))
            continue
        if place.count(b"/") + 1 >= MAX_LEVELS:
            report.leave_out(shown_path(place)[:200], f"more than {MAX_LEVELS} folders deep")
            continue
        below: list[tuple[bytes, tuple[str, ...]]] = []
        for item in items:
            path = place + b"/" + item.name if place else item.name
            if item.is_link:
                report_link(report, path)
            elif item.is_folder:
                inner = _folder_levels(levels, item.name)
                if inner is not None:
                    below.append((path, inner))
            elif item.is_file and not _INDEXES.fullmatch(item.name):
                size = _mbox_size(tree, path, report)
                if size is not None:
                    yield MboxFile(path, _file_levels(levels, item.name), size)
        waiting += reversed(below)


def _single_levels(path: Path) -> tuple[str, ...]:
    name = os.fsencode(path.name)
    if str(path.parent) in _SPOOLS:
        return ("INBOX",)
    if name.lower() in (b"mbox", b"mbox.mbox"):
        return _own_levels(path.parent) or ("INBOX",)
    return (read_level(_without(name, _SUFFIXES)),)


def _own_levels(path: Path) -> tuple[str, ...]:
    """Return the levels that the folder itself stands for: those of Apple Mail are mailboxes."""
    name = os.fsencode(path.name)
    if name.lower().endswith(b".mbox"):
        return (read_level(_without(name, _FOLDER_SUFFIXES)),)
    return ()


def _folder_levels(levels: tuple[str, ...], name: bytes) -> tuple[str, ...] | None:
    if name.startswith(b"."):
        is_kmail = name.endswith(b".directory") and len(name) > len(b"..directory")
        return (*levels, read_level(name[1:-10])) if is_kmail else None
    return (*levels, read_level(_without(name, _FOLDER_SUFFIXES)))


def _file_levels(levels: tuple[str, ...], name: bytes) -> tuple[str, ...]:
    if name.lower() == b"mbox":
        return levels or ("INBOX",)
    return (*levels, read_level(_without(name, _SUFFIXES)))


def _without(name: bytes, suffixes: tuple[bytes, ...]) -> bytes:
    for suffix in suffixes:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _mbox_size(tree: Tree, path: bytes, report: Report) -> int | None:
    """Return the size of a file that is an mbox file or empty; ``None``: it is none."""
    try:
        with tree.open(path) as descriptor:
            source = FileBytes(descriptor)
            if begins_as_mbox(source):
                return source.size
    except Unreadable as error:
        report.leave_out(shown_path(path), str(error))
        return None
    suffix = os.path.splitext(path)[1].lower()
    if not os.path.basename(path).startswith(b".") or suffix in _OTHER_FORMATS:
        report.leave_out(shown_path(path), _OTHER_FORMATS.get(suffix, "not an mbox file"))
    return None
