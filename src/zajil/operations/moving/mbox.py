"""mbox files as a source.

A message has no name in such a file, and its place changes when the file is compacted. So its key
is a digest of its bytes; of several equal ones in a file each is moved.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from zajil.core.value_class import value_class
from zajil.message.mbox import Unquoter
from zajil.message.mbox_read import (
    MboxSpan,
    NotMbox,
    begins_as_mbox,
    find_messages,
    read_header,
    read_time,
    take_status,
)
from zajil.operations.moving.gmail_labels import place_by_labels
from zajil.operations.moving.mbox_tree import find_files
from zajil.operations.moving.model import (
    Moved,
    NoSource,
    Report,
    SourceEntry,
    SourceMailbox,
    Unreadable,
)
from zajil.operations.moving.tree import FileBytes, open_tree, read_pieces_of

_UNSTABLE = 80
_INTERNAL = b"FOLDER INTERNAL DATA"


@value_class(frozen=True, slots=True, kw_only=True)
class MboxEntry(SourceEntry):
    """A message of a file."""

    span: MboxSpan


class MboxSource:
    """All mbox files at a path."""

    def __init__(
        self,
        path: Path,
        caller: tuple[int, int] | None = None,
        *,
        by_header: bool = False,
        into: Sequence[str] = (),
        unstable: re.Pattern[bytes] | None = None,
    ) -> None:
        """Open a file, or a folder with files.

        Args:
            path: of it.
            caller: as ``tree.open_tree`` takes it.
            by_header: the time of a message is what its header section says, not the separator.
            into: levels of the mailbox's name, where the path is one file.
            unstable: bytes that differ each time the files are written; at most 80 of them.

        Raises:
            NoSource: there is nothing at the path, or it is a file of another kind.
        """
        self._tree = open_tree(path, caller)
        if self._tree.is_file and not begins_as_mbox(FileBytes(self._tree.descriptor)):
            self._tree.close()
            raise NoSource(f"{path} is not an mbox file: it does not begin with a line 'From '")
        if not self._tree.is_file and self._tree.exists(b"cur") and self._tree.exists(b"new"):
            self._tree.close()
            raise NoSource(f"{path} is a Maildir: `zajil import maildir` reads it")
        self._by_header = by_header
        self._into = tuple(into)
        self._unstable = unstable
        self._open: tuple[str, FileBytes | None, ExitStack] = ("", None, ExitStack())
        self.identity = "mbox"
        """Keys are digests: a file is known again wherever it lies."""

    def mailboxes(self, report: Report) -> list[SourceMailbox]:
        """Return a mailbox for each file; ``work`` is its bytes.

        Raises:
            NoSource: there is no mbox file.
        """
        found = []
        for file in find_files(self._tree, report):
            levels = self._into if self._into and self._tree.is_file else file.levels
            place = os.fsdecode(file.place)
            name = "/".join(levels)
            found.append(SourceMailbox(name=name, levels=levels, place=place, work=file.size))
        if not found:
            raise NoSource(f"{self._tree.path} has no mbox file in it")
        return found

    def entries(self, mailbox: SourceMailbox, report: Report) -> Iterator[MboxEntry]:
        """Yield the messages of a file.

        Raises:
            Unreadable: it is not an mbox file, or cannot be read any further.
        """
        source, equal, gone = self._file(mailbox), Counter[str](), 0
        try:
            for number, span in enumerate(find_messages(source), 1):
                header = read_header(source, span)
                status, kept = take_status(header)
                if status.is_gone:
                    gone += 1
                    continue
                if number == 1 and status.is_internal and _INTERNAL in header:
                    continue
                key = self._digest(_pieces(source, span, kept, len(header)))
                equal[key] += 1
                yield MboxEntry(
                    key=key if equal[key] == 1 else f"{key}.{equal[key]}",
                    label=f"{mailbox.name}, message {number} (at byte {span.start})",
                    work=span.end - span.start,
                    span=span,
                )
        except NotMbox as error:
            raise Unreadable(f"not an mbox file: {error}") from None
        if gone:
            report.leave_out(mailbox.name, f"messages that were deleted in Thunderbird: {gone}")

    def read(
        self, mailbox: SourceMailbox, entries: Sequence[MboxEntry]
    ) -> Iterator[tuple[MboxEntry, Moved]]:
        """Yield messages.

        Raises:
            Unreadable: the file cannot be opened.
        """
        source = self._file(mailbox)
        for entry in entries:
            header = read_header(source, entry.span)
            status, kept = take_status(header)
            yield (
                entry,
                Moved(
                    flags=status.flags,
                    received_at_ms=None if self._by_header else read_time(entry.span.separator),
                    pieces=_pieces(source, entry.span, kept, len(header)),
                    place=place_by_labels(status.labels) if status.labels else None,
                ),
            )

    def close(self) -> None:
        """Let go of the files."""
        self._open[2].close()
        self._tree.close()

    def _digest(self, pieces: Iterator[bytes]) -> str:
        """Return what identifies a message by its bytes."""
        digest, carry = hashlib.sha256(), b""
        for piece in pieces:
            data = carry + piece
            carry = b""
            if self._unstable is not None:
                cut = len(data) - _UNSTABLE
                # What is unstable may end in the next piece.
                starts = [one.start() for one in self._unstable.finditer(data) if one.end() > cut]
                cut = max(0, min([cut, *starts]))
                data, carry = self._unstable.sub(b"", data[:cut]), data[cut:]
            digest.update(data)
        digest.update(carry if self._unstable is None else self._unstable.sub(b"", carry))
        return digest.hexdigest()[:32]

    def _file(self, mailbox: SourceMailbox) -> FileBytes:
        name, source, stack = self._open
        if source is None or name != mailbox.place:
            stack.close()
            stack = ExitStack()
            place = os.fsencode(mailbox.place)
            if self._tree.is_file:
                descriptor = self._tree.descriptor
            else:
                descriptor = stack.enter_context(self._tree.open(place))
            source = FileBytes(descriptor)
            self._open = (mailbox.place, source, stack)
        return source


def _pieces(source: FileBytes, span: MboxSpan, kept: bytes, header: int) -> Iterator[bytes]:
    """Yield the bytes of a message: what is kept of its header section, and what is behind it."""
    unquoter = Unquoter()
    feed: Callable[[bytes], bytes] = unquoter.feed if span.is_quoted else lambda piece: piece
    yield feed(kept)
    yield from map(feed, read_pieces_of(source.descriptor, span.begin + header, span.end))
    yield unquoter.finish()
