"""A Maildir as a target, as Dovecot and Courier read it.

The name of a file is made of UIDVALIDITY and UID: a second run finds what is there, writes what is
new, and gives other flags to what has others now. Lines end with LF.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from zajil.imap.mailbox_name import INBOX, encode_name
from zajil.operations.moving.destination import Destination
from zajil.operations.moving.maildir_names import (
    KEYWORDS_FILE,
    LETTER_OF,
    MAX_KEYWORDS,
    split_name,
)
from zajil.operations.moving.model import Leaving, OwnMailbox, Report

_RESERVED = ("cur", "new", "tmp")
_MAX_BYTES = 250
"""Of a folder's name."""


class Layout(Enum):
    """How folders of mailboxes lie."""

    MAILDIR_PLUS = "maildir++"
    """``.Work.Offers`` in the Maildir: Dovecot's and Courier's default."""
    FOLDERS = "fs"
    """``Work/Offers``: Dovecot with ``LAYOUT=fs``, OfflineIMAP, mbsync."""


class MaildirTarget:
    """A Maildir with a folder for each mailbox."""

    def __init__(
        self,
        path: Path,
        caller: tuple[int, int] | None = None,
        layout: Layout = Layout.MAILDIR_PLUS,
    ) -> None:
        """Make the folder; as ``Destination``.

        Raises:
            NoTarget: it cannot be made.
        """
        self.identity = f"maildir:{path.absolute()}"
        self._to = Destination(path, caller)
        self._layout = layout
        self._folder = path
        self._uid_validity = 0
        self._there: dict[bytes, bytes] = {}
        """Name of each file in ``cur``, by the part that stays."""
        self._keywords: list[str] = []
        self._report = Report()
        self._no_letter: set[str] = set()
        self._subscribed: list[str] = []
        self._taken: dict[str, str] = {}
        self._wrote = False

    def open(self, mailbox: OwnMailbox, report: Report) -> bool:
        """Make the folder of a mailbox, and see what is in it."""
        name = self._name(mailbox, report)
        if len(name) > _MAX_BYTES and self._layout is Layout.MAILDIR_PLUS:
            report.leave_out(mailbox.name, "its name is too long for a folder")
            return False
        self._folder = self._to.path / name if name else self._to.path
        self._report, self._uid_validity, self._no_letter = report, mailbox.uid_validity, set()
        with self._to.writing():
            for part in _RESERVED:
                (self._folder / part).mkdir(parents=True, exist_ok=True)
            if name and self._layout is Layout.MAILDIR_PLUS:
                (self._folder / "maildirfolder").touch()
            found = os.listdir(os.fsencode(self._folder / "cur"))
            self._there = {split_name(one)[0].partition(b",")[0]: one for one in found}
            self._keywords = self._read_keywords()
        if mailbox.subscribed and name:
            self._subscribed.append(self._told(name, "\t"))
        return True

    def put(self, message: Leaving) -> bool:
        """Write a file, or give its flags to the one that is there."""
        stem = (
            f"{message.received_at_ms // 1000}.V{self._uid_validity}U{message.uid}.zajil".encode()
        )
        info = b":2," + self._letters(message.flags).encode()
        there = self._there.get(stem)
        current = os.fsencode(self._folder / "cur")
        with self._to.writing():
            if there is not None:
                new = split_name(there)[0] + info
                if new != there:
                    os.rename(os.path.join(current, there), os.path.join(current, new))
                return False
            tmp = os.path.join(os.fsencode(self._folder / "tmp"), stem)
            size = _write(tmp, message)
            seconds = message.received_at_ms / 1000
            os.utime(tmp, (seconds, seconds))
            name = stem + b",S=%d,W=%d" % (size, message.size) + info
            os.rename(tmp, os.path.join(current, name))
        self._wrote = True
        return True

    def finish(self) -> None:
        """Write down which letters the keywords have."""
        with self._to.writing():
            if self._keywords:
                lines = [f"{number} {word}\n" for number, word in enumerate(self._keywords)]
                _replace(self._folder / os.fsdecode(KEYWORDS_FILE), "".join(lines))
        if self._no_letter:
            what = ", ".join(sorted(self._no_letter)[:10])
            self._report.leave_out(
                f"keywords in {self._folder.name}: {what}",
                f"a folder of a Maildir has at most {MAX_KEYWORDS}",
            )

    def close(self) -> None:
        """Write the list of subscriptions, and wait until all is on disk."""
        with self._to.writing():
            if self._subscribed:
                lines = "".join(f"{name}\n" for name in self._subscribed)
                # Dovecot's second form, in which a dot may stand in a name.
                _replace(self._to.path / "subscriptions", f"V\t2\n\n{lines}")
            if self._wrote:
                os.sync()

    def _name(self, mailbox: OwnMailbox, report: Report) -> str:
        """Return the folder's name; ``""``: INBOX."""
        if mailbox.name == INBOX:
            return ""
        plus = self._layout is Layout.MAILDIR_PLUS
        levels = [_level(one, plus=plus) for one in mailbox.name.split("/")]
        changed = [encode_name(one).decode("ascii") for one in mailbox.name.split("/")] != levels
        name = f".{'.'.join(levels)}" if plus else "/".join(levels)
        stem, number = name, 1
        while self._taken.setdefault(name, mailbox.name) != mailbox.name:
            number += 1
            name = f"{stem}_{number}"
        if changed:
            report.notes.append(f"{mailbox.name} is called {self._told(name, '/')} in the Maildir")
        return name

    def _told(self, name: str, divider: str) -> str:
        """Return what a folder is called, with a divider between levels."""
        if self._layout is Layout.MAILDIR_PLUS:
            return name[1:].replace(".", divider)
        return name.replace("/", divider)

    def _letters(self, flags: frozenset[str]) -> str:
        letters = {LETTER_OF.get(flag.lower(), "") for flag in flags}
        # $Forwarded is both: for Dovecot, which does not know the P, it is a keyword.
        letters |= {self._letter_of_keyword(one) for one in flags if not one.startswith("\\")}
        return "".join(sorted(letters))

    def _letter_of_keyword(self, keyword: str) -> str:
        if keyword not in self._keywords:
            if len(self._keywords) == MAX_KEYWORDS:
                self._no_letter.add(keyword)
                return ""
            self._keywords.append(keyword)
        return chr(ord("a") + self._keywords.index(keyword))

    def _read_keywords(self) -> list[str]:
        path = self._folder / os.fsdecode(KEYWORDS_FILE)
        if not path.exists():
            return []
        lines = path.read_bytes().decode("ascii", "replace").splitlines()
        return [line.partition(" ")[2] for line in lines[:MAX_KEYWORDS]]


def _level(text: str, *, plus: bool) -> str:
    """Return a level as a part of a folder's name, in modified UTF-7."""
    name = encode_name(text).decode("ascii")
    if plus:
        return name.replace(".", "_")
    reserved = name in _RESERVED or name.startswith((".", "~")) or len(name) > _MAX_BYTES
    return f"_{name[: _MAX_BYTES - 1]}" if reserved else name


def _write(path: bytes, message: Leaving) -> int:
    """Write a message with LF; what an earlier run left is written over."""
    size, carry = 0, b""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        for piece in message.pieces():
            data = carry + piece
            carry = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(carry)].replace(b"\r\n", b"\n")
            size += file.write(data)
        size += file.write(carry)
    return size


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(text.encode("utf-8"))
    part.rename(path)
