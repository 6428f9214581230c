"""A Maildir as a source.

The key of a message is the name of its file without flags: it stays when a program reads or marks
the message. The time of the file is INTERNALDATE, as for Dovecot and Courier.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zajil.core.value_class import value_class
from zajil.operations.moving.maildir_names import (
    find_folders,
    flags_of,
    read_keywords,
    read_subscriptions,
    report_scripts,
    split_name,
)
from zajil.operations.moving.model import (
    Moved,
    NoSource,
    Report,
    SourceEntry,
    SourceMailbox,
    Unreadable,
)
from zajil.operations.moving.tree import open_tree, read_pieces_of, report_link, shown_path


@value_class(frozen=True, slots=True, kw_only=True)
class MaildirEntry(SourceEntry):
    """A file."""

    place: bytes
    """Path below the Maildir."""
    letters: str
    """Of its flags."""


class MaildirSource:
    """All mailboxes of a Maildir."""

    def __init__(
        self, path: Path, caller: tuple[int, int] | None = None, *, by_header: bool = False
    ) -> None:
        """Open the folder.

        Args:
            path: of the Maildir.
            caller: as ``open_tree`` takes it.
            by_header: the time of a message is what its header section says, not that of its file.

        Raises:
            NoSource: there is no folder.
        """
        self._tree = open_tree(path, caller)
        if self._tree.is_file:
            self._tree.close()
            raise NoSource(f"{path} is a file; a Maildir is a folder with cur and new in it")
        self._by_header = by_header
        self._keywords: tuple[str | None, list[str]] = (None, [])
        self.identity = f"maildir:{self._tree.path}"

    def mailboxes(self, report: Report) -> list[SourceMailbox]:
        """Return its mailboxes; ``work`` is the number of messages.

        Raises:
            NoSource: there is none.
        """
        subscribed = read_subscriptions(self._tree)
        report_scripts(self._tree, report)
        found = []
        for place, levels in find_folders(self._tree, report):
            name = "/".join(levels) or "INBOX"
            found.append(
                SourceMailbox(
                    name=name,
                    levels=levels or ("INBOX",),
                    place=os.fsdecode(place),
                    work=sum(1 for _ in self._files(place, report)),
                    subscribed=subscribed is None or name in subscribed or name == "INBOX",
                )
            )
        if not found:
            raise NoSource(f"{self._tree.path} has no folder with cur and new in it")
        return found

    def entries(self, mailbox: SourceMailbox, report: Report) -> Iterator[MaildirEntry]:
        """Yield the messages of a mailbox by the names of their files, which begin with a time."""
        place = os.fsencode(mailbox.place)
        for folder, name in self._files(place, report, tells=True):
            key, letters = split_name(name)
            yield MaildirEntry(
                key=key.decode("utf-8", "backslashreplace"),
                label=shown_path(folder + b"/" + name),
                place=folder + b"/" + name,
                letters=letters if folder.endswith(b"cur") else "",
            )

    def read(
        self, mailbox: SourceMailbox, entries: Sequence[MaildirEntry]
    ) -> Iterator[tuple[MaildirEntry, Moved]]:
        """Yield messages; those whose files have other names meanwhile are looked for once."""
        if self._keywords[0] != mailbox.place:
            folder = os.fsencode(mailbox.place)
            self._keywords = (mailbox.place, read_keywords(self._tree, folder))
        for entry in entries:
            flags = flags_of(entry.letters, self._keywords[1])
            with ExitStack() as stack:
                try:
                    descriptor = stack.enter_context(self._open(mailbox, entry))
                except Unreadable as error:
                    yield entry, Moved(flags=flags, received_at_ms=None, pieces=_failing(error))
                    continue
                found = os.fstat(descriptor)
                at_ms = None if self._by_header else found.st_mtime_ns // 1_000_000
                pieces = read_pieces_of(descriptor, 0, found.st_size)
                yield entry, Moved(flags=flags, received_at_ms=at_ms, pieces=pieces)

    def close(self) -> None:
        """Let go of the folder."""
        self._tree.close()

    @contextmanager
    def _open(self, mailbox: SourceMailbox, entry: MaildirEntry) -> Iterator[int]:
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._tree.open(entry.place))
            except Unreadable:
                # Somebody read it meanwhile: it has other flags now, or went from new to cur.
                place = self._renamed(mailbox, entry)
                if place is None:
                    raise
                descriptor = stack.enter_context(self._tree.open(place))
            yield descriptor

    def _renamed(self, mailbox: SourceMailbox, entry: MaildirEntry) -> bytes | None:
        old = split_name(entry.place.rpartition(b"/")[2])[0]
        for folder, name in self._files(os.fsencode(mailbox.place), Report()):
            place = folder + b"/" + name
            if split_name(name)[0] == old and place != entry.place:
                return place
        return None

    def _files(
        self, place: bytes, report: Report, *, tells: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield folder and name of each message's file."""
        names: list[tuple[bytes, bytes]] = []
        for part in (b"cur", b"new"):
            folder = place + b"/" + part if place else part
            try:
                items = self._tree.list(folder)
            except Unreadable as error:
                if tells and str(error) != os.strerror(2):
                    report.leave_out(shown_path(folder), str(error))
                continue
            for item in items:
                if item.name.startswith(b"."):
                    continue
                if item.is_file:
                    names.append((folder, item.name))
                elif tells and item.is_link:
                    report_link(report, folder + b"/" + item.name)
                elif tells:
                    report.leave_out(shown_path(folder + b"/" + item.name), "it is not a file")
        yield from sorted(names, key=lambda one: one[1])


def _failing(error: Unreadable) -> Iterator[bytes]:
    raise error
    yield b""
