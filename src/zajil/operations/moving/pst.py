"""A PST file of Outlook as a source, read by the program ``readpst`` (Debian's pst-utils).

It writes the folders as mbox files into a folder of ours, which is removed at the end. Each run
gives the parts of a message other boundaries, and invitations other times and names; so these do
not count for what identifies a message.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zajil.operations.moving.mbox import MboxEntry, MboxSource
from zajil.operations.moving.model import Moved, NoSource, Report, SourceMailbox
from zajil.operations.moving.tree import open_tree

PROGRAM = "readpst"
PACKAGE = "pst-utils"
_UNSTABLE = re.compile(
    rb"boundary-LibPST-iamunique-[0-9]{1,20}|DTSTAMP:[0-9]{8}T[0-9]{6}Z"
    rb'|name="i[0-9]{1,10}\.ics"'
)
_ITEMS = {"calendar": rb"^BEGIN:VEVENT", "journal": rb"^BEGIN:VJOURNAL"}
"""Files that are no mail, and what each item in them begins with."""
_CONTACTS = "contacts"
_NO_MAIL = "appointments, tasks and journals have no place here; they can be opened in a calendar"
_MAX_ERROR = 2000
_MAX_CONTACTS = 1 << 26
"""Bytes of one file of contacts."""


class PstSource:
    """The mail of a PST file."""

    def __init__(
        self,
        path: Path,
        caller: tuple[int, int],
        *,
        by_header: bool = False,
        work: Path | None = None,
    ) -> None:
        """Read the file, which takes as much space again as it has.

        Args:
            path: of the file.
            caller: who typed the path, as ``open_tree`` takes it.
            by_header: as ``MboxSource`` takes it.
            work: where there is that space; ``None``: the folder of temporary files.

        Raises:
            NoSource: it is no PST file, there is no ``readpst``, or no space.
        """
        tree = open_tree(path, caller)
        is_file, owner = tree.is_file, tree.owner
        head = os.pread(tree.descriptor, 4, 0) if is_file else b""
        tree.close()
        if head != b"!BDN":
            raise NoSource(f"{path} is not a PST file of Outlook")
        program = shutil.which(PROGRAM)
        if program is None:
            raise NoSource(f"the program {PROGRAM} is not installed (apt-get install {PACKAGE})")
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="zajil-pst-", dir=work))
        except OSError as error:
            raise NoSource(f"cannot make a folder for {path.name}: {error.strerror}") from None
        self.identity = "pst"
        self.contacts: list[str] = []
        """Texts of files with vCards."""
        try:
            self._extract(program, path.absolute(), owner)
            self._mail = MboxSource(self._folder, by_header=by_header, unstable=_UNSTABLE)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def mailboxes(self, report: Report) -> list[SourceMailbox]:
        """Return the folders with mail in them; note contacts, and what is no mail.

        Raises:
            NoSource: there is neither mail nor a contact.
        """
        self._look_at_others(report)
        try:
            found = self._mail.mailboxes(Report())
        except NoSource:
            if self.contacts:
                return []
            raise NoSource("the PST file has no mail in it") from None
        # The first level is the name of the file.
        return [
            SourceMailbox(
                name="/".join(box.levels[1:]) or "Outlook",
                levels=box.levels[1:] or ("Outlook",),
                place=box.place,
                work=box.work,
            )
            for box in found
        ]

    def entries(self, mailbox: SourceMailbox, report: Report) -> Iterator[MboxEntry]:
        """Yield the messages of a folder; as ``MboxSource``."""
        return self._mail.entries(mailbox, report)

    def read(
        self, mailbox: SourceMailbox, entries: Sequence[MboxEntry]
    ) -> Iterator[tuple[MboxEntry, Moved]]:
        """Yield messages; as ``MboxSource``."""
        return self._mail.read(mailbox, entries)

    def close(self) -> None:
        """Remove what was written."""
        self._mail.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _extract(self, program: str, path: Path, owner: tuple[int, int]) -> None:
        """Run the program, as the owner of the file where that is another user."""
        command = [program, "-q", "-r", "-8", "-cv", "-j", "0", "-o", str(self._folder), str(path)]
        other: dict[str, Any] = {}
        if os.geteuid() == 0 and owner[0] != 0:
            os.chown(self._folder, *owner)
            other = {"user": owner[0], "group": owner[1], "extra_groups": []}
        environment = {"PATH": os.environ.get("PATH", ""), "TZ": "UTC", "LANG": "C.UTF-8"}
        with tempfile.TemporaryFile() as errors:
            try:
                # Security: no shell; the path is absolute, so that it is no option.
                done = subprocess.run(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd="/",
                    check=False,
                    **other,
                )
            except OSError as error:
                raise NoSource(f"cannot run {PROGRAM}: {error.strerror}") from None
            errors.seek(0)
            said = errors.read(_MAX_ERROR).decode("utf-8", "replace").strip()
        if done.returncode:
            last = said.splitlines()[-1] if said else f"it ended with status {done.returncode}"
            raise NoSource(f"{PROGRAM} cannot read {path}: {last}")

    def _look_at_others(self, report: Report) -> None:
        self.contacts = []
        for path in sorted(self._folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            name = "/".join(path.relative_to(self._folder).parts[1:])
            begin = _ITEMS.get(path.name)
            if begin is not None:
                with path.open("rb") as file:
                    count = sum(1 for line in file if re.match(begin, line))
                report.leave_out(f"{name}: {count} items", _NO_MAIL)
            elif path.name == _CONTACTS:
                with path.open("rb") as file:
                    self.contacts.append(file.read(_MAX_CONTACTS).decode("utf-8", "replace"))
