"""What stands in the names of a Maildir: flags of messages, mailboxes in folders.

Forms: Maildir++ (Dovecot, Courier: ``.Work.Offers``), folders in folders (Dovecot with
``LAYOUT=fs``, OfflineIMAP, mbsync), KMail (``.Work.directory/Offers``), Thunderbird
(``Work.sbd/Offers``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from zajil.operations.moving.model import Report, Unreadable
from zajil.operations.moving.names import read_level
from zajil.operations.moving.tree import MAX_LEVELS, Item, Tree, report_link, shown_path

FLAG_OF = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "P": "$Forwarded",
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}
LETTER_OF = {flag.lower(): letter for letter, flag in FLAG_OF.items()}
MAX_KEYWORDS = 26
"""Keywords of one folder, letters ``a`` to ``z``, that ``dovecot-keywords`` can number."""
KEYWORDS_FILE = b"dovecot-keywords"
SUBSCRIPTIONS = (b"subscriptions", b"courierimapsubscribed")
_CONTENT = (b"cur", b"new")
_OWN = (b"cur", b"new", b"tmp")
_MAX_FILE = 1 << 20
# Where a file system does not allow the colon, programs write another character.
_INFO = re.compile(rb"[:;!]2,([A-Za-z,]*)\Z")
_RULE = re.compile(rb"^\s*(?:if|elsif)\b", re.MULTILINE)
_KEYWORD = re.compile(rb"([0-9]{1,2}) (\S{1,64})\s*")

Folder = tuple[bytes, tuple[str, ...]]
"""Path below the tree, and the levels of the mailbox's name; none: the tree itself is a mailbox."""


def split_name(name: bytes) -> tuple[bytes, str]:
    """Return the part of a file's name that stays when flags change, and the letters of flags."""
    found = _INFO.search(name)
    return (name, "") if found is None else (name[: found.start()], found[1].decode("ascii"))


def flags_of(letters: str, keywords: Sequence[str]) -> frozenset[str]:
    """Return the flags that letters mean; a keyword that has no name is left out."""
    flags = {FLAG_OF[one] for one in letters if one in FLAG_OF}
    for one in letters:
        number = ord(one) - ord("a")
        if 0 <= number < len(keywords) and keywords[number]:
            flags.add(keywords[number])
    return frozenset(flags)


def read_keywords(tree: Tree, folder: bytes) -> list[str]:
    """Return the keywords of a folder by their number, as Dovecot writes them down."""
    keywords = [""] * MAX_KEYWORDS
    for line in tree.read(_join(folder, KEYWORDS_FILE), _MAX_FILE).splitlines():
        found = _KEYWORD.fullmatch(line)
        if found is not None and int(found[1]) < MAX_KEYWORDS and found[2].isascii():
            keywords[int(found[1])] = found[2].decode("ascii")
    return keywords


def read_subscriptions(tree: Tree) -> set[str] | None:
    """Return the names that are subscribed to, levels divided by ``/``; ``None``: not known."""
    for name in SUBSCRIPTIONS:
        lines = tree.read(name, _MAX_FILE).splitlines()
        if not lines:
            continue
        is_second = lines[0].startswith(b"V\t")  # Dovecot's second form
        found = set()
        for line in filter(None, lines[1:] if is_second else lines):
            divider = b"\t" if is_second else b"/" if b"/" in line else b"."
            found.add("/".join(read_level(level) for level in line.split(divider)))
        return found | {one.removeprefix("INBOX/") for one in found}
    return None


def report_scripts(tree: Tree, report: Report) -> None:
    """Name the Sieve scripts beside the mail, which are not run here."""
    scripts = [b".dovecot.sieve"]
    if tree.exists(b"sieve"):
        scripts += [b"sieve/" + one.name for one in tree.list(b"sieve") if one.is_file]
    for place in scripts:
        text = tree.read(place, _MAX_FILE)
        if text and place.endswith(b".sieve"):
            report.leave_out(
                f"{shown_path(place)}: a script with rules: {len(_RULE.findall(text))}",
                "Sieve scripts are not run; `zajil account forward` sets a forwarding",
            )


def find_folders(tree: Tree, report: Report) -> Iterator[Folder]:
    """Yield the folders that are mailboxes, a folder before those in it."""
    waiting: list[tuple[bytes, tuple[str, ...]]] = [(b"", ())]
    while waiting:
        place, levels = waiting.pop()
        try:
            items = tree.list(place)
        except Unreadable as error:
            report.leave_out(shown_path(place) or str(tree.path), str(error))
            continue
        if any(one.is_folder and one.name in _CONTENT for one in items):
            yield place, levels
        below: list[tuple[bytes, tuple[str, ...]]] = []
        for one in items:
            inner = None if one.name in _OWN else _look_into(tree, place, levels, one, report)
            if inner is not None:
                below.append(inner)
        if below and place.count(b"/") + 1 >= MAX_LEVELS:
            report.leave_out(shown_path(place)[:200], f"more than {MAX_LEVELS} folders deep")
            continue
        waiting += reversed(below)


def _look_into(
    tree: Tree, place: bytes, levels: tuple[str, ...], item: Item, report: Report
) -> Folder | None:
    """Return where to look below a folder, and what its mailboxes are called."""
    path = _join(place, item.name)
    if item.is_link:
        report_link(report, path)
        return None
    if not item.is_folder:
        return None
    name = item.name
    if name.startswith(b"."):
        if name.endswith(b".directory"):
            return path, (*levels, read_level(name[1:-10]))
        if not any(tree.exists(_join(path, one)) for one in _CONTENT):
            return None  # of a program, not a mailbox
        more = [read_level(level) for level in name[1:].split(b".") if level]
        return path, (*levels, *more)
    if name.endswith(b".sbd"):
        name = name[:-4]
    return path, (*levels, read_level(name))


def _join(place: bytes, name: bytes) -> bytes:
    return place + b"/" + name if place else name
