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
from zajil.operations.moving.model import Moved, NoSource, Report, SourceMailbox, Unreadable
from zajil.operations.moving.tree import Tree, open_tree, shown_path

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
_MAX_OTHER = 1 << 26
"""Bytes that are read of one file that is no mail."""


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
        # Security: the owner of the file may write to the inner folder, and cannot put another
        # one in its place, because the outer one is ours.
        self._out = self._folder / "out"
        try:
            self._out.mkdir(mode=0o700)
            self._extract(program, path.absolute(), owner)
            self._mail = MboxSource(self._out, by_header=by_header, unstable=_UNSTABLE)
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
        command = [program, "-q", "-r", "-8", "-cv", "-j", "0", "-o", str(self._out), str(path)]
        other: dict[str, Any] = {}
        if os.geteuid() == 0 and owner[0] != 0:
            self._folder.chmod(0o711)
            os.chown(self._out, *owner)
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
        tree = open_tree(self._out)
        try:
            for place in _files(tree, report):
                file = os.path.basename(place).decode("utf-8", "replace")
                if file in _ITEMS:
                    name = shown_path(place.partition(b"/")[2])
                    count = len(
                        re.findall(_ITEMS[file], tree.read(place, _MAX_OTHER), re.MULTILINE)
                    )
                    report.leave_out(f"{name}: {count} items", _NO_MAIL)
                elif file == _CONTACTS:
                    text = tree.read(place, _MAX_OTHER)
                    self.contacts.append(text.decode("utf-8", "replace"))
        finally:
            tree.close()


def _files(tree: Tree, report: Report) -> Iterator[bytes]:
    """Yield the paths of all files below a tree, in order."""
    waiting = [b""]
    while waiting:
        place = waiting.pop()
        try:
            items = tree.list(place)
        except Unreadable as error:
            report.leave_out(shown_path(place), str(error))
            continue
        paths = [(place + b"/" + one.name if place else one.name, one) for one in items]
        yield from (path for path, one in paths if one.is_file)
        waiting += [path for path, one in reversed(paths) if one.is_folder]
