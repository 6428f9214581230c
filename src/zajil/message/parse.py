"""Build the tree of parts in one pass over the message (RFC 2046 section 5.1).

Laws:
- Linear: every line that could be a boundary is looked up once, in a table of the boundaries that
  are open; empty lines are searched for once. Nothing is recursive.
- Never raises. Past ``MAX_DEPTH`` or ``MAX_PARTS`` the rest is left unparsed inside its part
  (CVE-2020-12100, CVE-2026-26312).
"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.message.fields import Field, read_fields, split_message
from zajil.message.large_data import MAX_SECTION, Data, find_delimiters
from zajil.message.part import ENCLOSING, Part, make_part

MAX_DEPTH = 100
"""Parts inside parts; real mail has under ten."""
MAX_PARTS = 1000
"""Parts of one message, all levels together."""

_TWO_BOUNDARIES = "duplicate parameter boundary"


@dataclass(slots=True)
class _Open:
    """A multipart whose closing boundary was not seen yet."""

    part: Part
    depth: int
    """Length of the stack when this multipart is on top."""
    boundaries: tuple[bytes, ...]
    """What its delimiters may be; more than one where the field can be read in several ways."""
    seen: bytes = b""
    """The one that was found first."""


def parse_message(data: Data) -> Part:
    """Parse a whole message; one that is not in memory is read in pieces."""
    return _Pass(data).run()


class _Pass:
    """The state of one pass."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.count = 0
        self.stack: list[Part] = []
        """Parts whose end was not found yet, outermost first."""
        self.open: list[_Open] = []
        self.boundaries: dict[bytes, list[_Open]] = {}
        self.begun: int | None = None
        """Where a part begins whose header section was not read yet."""
        self.begun_ends = (0, 0)
        """End of that header section and start of its body, unless a boundary comes first."""
        self.empty_lines = {b"\n\r\n": -1, b"\n\n": -1}

    def run(self) -> Part:
        """Return the root."""
        data = self.data
        header_end, body_start = split_message(data)
        root = make_part(self._read_fields(0, header_end), (0, header_end, body_start))
        self._push(root)
        for at, name, name_end in find_delimiters(data, max(body_start - 1, 0)):
            while self.begun is not None and at >= self.begun_ends[1]:
                self._read_header(*self.begun_ends)
            if not self.open:
                if self.begun is None:
                    break
                continue
            found = self._find_open(name)
            if found is None:
                continue
            if self.begun is not None:  # a boundary inside the header section ends it
                self._read_header(at, at)
            if self.count >= MAX_PARTS and not found[1]:
                found[0].part.defects.append("too many parts")
                break
            self._end_parts(found[0], at)
            if found[1]:
                self._close(found[0])
            else:
                line_end = name_end + (2 if data[name_end : name_end + 1] == b"\r" else 1)
                self._begin(min(line_end, len(data)))
        while self.begun is not None:
            self._read_header(*self.begun_ends)
        for part in self.stack:
            part.body_end = len(data)
        for item in self.open:
            item.part.defects.append("no closing boundary")
        return root

    # ---- parts ------------------------------------------------------------------------------

    def _begin(self, at: int) -> None:
        self.begun = at
        self.begun_ends = self._find_empty_line(at)

    def _read_header(self, header_end: int, body_start: int) -> None:
        """Read the header section of the part that begins at ``self.begun``."""
        if self.begun is None:
            raise RuntimeError("no part begins here")
        start, self.begun = self.begun, None
        parent = self.stack[-1]
        part = make_part(
            self._read_fields(start, header_end),
            (start, header_end, body_start),
            in_digest=parent.type == "multipart/digest",
        )
        parent.children.append(part)
        self._push(part)

    def _read_fields(self, start: int, end: int) -> list[Field]:
        if not isinstance(self.data, bytes):
            end = min(end, start + MAX_SECTION)
        return read_fields(self.data[start:end])

    def _push(self, part: Part) -> None:
        """Put a part on the stack, and look into it if it has parts or a message inside."""
        self.count += 1
        self.stack.append(part)
        part.body_end = len(self.data)
        encloses = part.type in ENCLOSING and part.encoding in ("", "7bit", "8bit", "binary")
        boundaries = part.content_type.boundaries
        if not (encloses or boundaries):
            return
        if len(self.stack) >= MAX_DEPTH:
            part.defects.append("too deep")
        elif self.count >= MAX_PARTS:
            part.defects.append("too many parts")
        elif boundaries:
            item = _Open(part, len(self.stack), boundaries)
            self.open.append(item)
            for boundary in boundaries:
                self.boundaries.setdefault(boundary, []).append(item)
        else:
            self._begin(part.body_start)

    def _end_parts(self, item: _Open, at: int) -> None:
        """End all parts inside a multipart: one of its boundaries stands at ``at``."""
        end = at - 1
        if self.data[end - 1 : end] == b"\r":
            end -= 1
        for part in self.stack[item.depth :]:
            part.body_end = max(part.body_start, end)
        del self.stack[item.depth :]
        while self.open[-1] is not item:
            inner = self.open[-1]
            inner.part.defects.append("no closing boundary")
            self._close(inner)

    def _close(self, item: _Open) -> None:
        """Forget the innermost open multipart: what follows it is its epilogue."""
        self.open.pop()
        for boundary in item.boundaries:
            same = self.boundaries[boundary]
            same.pop()
            if not same:
                del self.boundaries[boundary]

    # ---- lines ------------------------------------------------------------------------------

    def _find_open(self, line: bytes) -> tuple[_Open, bool] | None:
        """Find the innermost open multipart a line belongs to, and whether it closes it."""
        line = line.rstrip(b" \t")
        closes = False
        opened = self.boundaries.get(line)
        if not opened and line.endswith(b"--"):
            line, closes = line[:-2], True
            opened = self.boundaries.get(line)
        if not opened:
            return None
        item = opened[-1]
        item.seen = item.seen or line
        if item.seen != line and _TWO_BOUNDARIES not in item.part.defects:
            # Security: what one program takes for a new part is text for another.
            item.part.defects.append(_TWO_BOUNDARIES)
        return item, closes

    def _find_empty_line(self, at: int) -> tuple[int, int]:
        """Return the end of the header section that begins at ``at``, and the start of its body."""
        end = len(self.data)
        if at == 0 or at >= end:
            return (end, end) if at else split_message(self.data)
        best: tuple[int, int] | None = None
        for needle, known in self.empty_lines.items():
            if known < at - 1:
                known = self.data.find(needle, at - 1)
                known = end if known < 0 else known
                self.empty_lines[needle] = known
            if known < end and (best is None or known < best[0]):
                best = known + 1, known + len(needle)
        return best or (end, end)
