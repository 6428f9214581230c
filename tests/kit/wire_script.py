"""Wire scripts: dialogues as the RFCs print them, and what plays one against an engine.

A script (``tests/wire/*/*.wire``)::

    # A comment: what the script guards.
    @ option             how the connection begins: see the kit of the protocol
    S: 250 text          a line the server must send; "..." at the end: whatever follows
    C: EHLO example.com  a line we send, CRLF is added
    C| first\\r\\n         bytes we send, with escapes, nothing added
    ! CLOSED reason      a fact: see the kit of the protocol

Client lines that stand together are sent together, so a script also tests pipelining.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

Chop = Callable[[bytes], Sequence[bytes]]
"""Cuts what the client sends into the pieces in which it arrives."""


def whole(data: bytes) -> Sequence[bytes]:
    """Leave it in one piece."""
    return [data]


def byte_by_byte(data: bytes) -> Sequence[bytes]:
    """Cut between all bytes."""
    return [data[i : i + 1] for i in range(len(data))]


def random_cuts(data: bytes) -> Sequence[bytes]:
    """Cut in up to six places, always the same for the same data."""
    chance = random.Random(data)
    cuts = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(6))})
    return [data[start:end] for start, end in pairwise(cuts)]


CHOPS: tuple[Chop, ...] = (whole, byte_by_byte, random_cuts)
SCRIPTS = Path(__file__).parent.parent / "wire"


def scripts(protocol: str) -> list[Path]:
    """Return the scripts of a protocol: ``smtp``, ``imap``, ``pop3``."""
    return sorted((SCRIPTS / protocol).glob("*.wire"))


class WireMismatch(AssertionError):
    """The server did something else than the script says."""


@dataclass(frozen=True, slots=True)
class Script:
    """A dialogue."""

    path: Path
    options: tuple[str, ...]
    """What stands behind ``@``."""
    steps: tuple[tuple[int, str, bytes], ...]
    """Line number, kind (``S``, ``C``, ``!``), and what it says or sends."""


def load_script(path: Path) -> Script:
    """Read a wire script.

    Raises:
        ValueError: a line that is none of the forms above.
    """
    options: list[str] = []
    steps: list[tuple[int, str, bytes]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        kind, text = line[:2], line[3:]
        if not line.strip() or line.startswith("#"):
            continue
        if kind == "@ ":
            options.append(line[2:].strip())
        elif kind == "C:":
            steps.append((number, "C", text.encode() + b"\r\n"))
        elif kind == "C|":
            steps.append((number, "C", unescape(text)))
        elif kind == "S:":
            steps.append((number, "S", text.encode()))
        elif kind == "! ":
            steps.append((number, "!", line[2:].encode()))
        else:
            raise ValueError(f"{path.name}:{number}: not a step of a wire script: {line!r}")
    return Script(path, tuple(options), tuple(steps))


def unescape(text: str) -> bytes:
    """Return the bytes of ``first\\r\\n``; what is not ASCII stands for its UTF-8."""
    ascii_text = text.encode().decode("latin-1")
    return ascii_text.encode("latin-1").decode("unicode_escape").encode("latin-1")


class Player(ABC):
    """Plays a script against an engine."""

    def __init__(self, script: Script, chop: Chop) -> None:
        self.script = script
        self._chop = chop
        self._to_send = b""
        self._got = b""
        self._line = 0

    @abstractmethod
    def receive(self, data: bytes) -> bytes:
        """Give the engine what arrived, answer its events, and return what it sends."""

    @abstractmethod
    def check(self, fact: str) -> None:
        """Check what stands behind ``!``; call ``fail`` if it is not so."""

    def fail(self, wanted: object, got: object) -> None:
        """Say where the script and the engine differ.

        Raises:
            WireMismatch: always.
        """
        where = f"{self.script.path.name}:{self._line}"
        raise WireMismatch(f"{where}: wanted {wanted!r}, got {got!r}")

    def play(self) -> None:
        """Play it to its end.

        Raises:
            WireMismatch: with script, line, wanted, got.
        """
        self._got += self.receive(b"")
        for number, kind, text in self.script.steps:
            if kind == "C":
                self._to_send += text
                continue
            self._send()
            self._line = number
            if kind == "S":
                self._expect(text)
            else:
                self.check(text.decode())
        self._send()
        if self._got:
            self.fail("nothing more", self._got)

    def _send(self) -> None:
        data, self._to_send = self._to_send, b""
        for piece in self._chop(data) if data else ():
            self._got += self.receive(piece)

    def _expect(self, wanted: bytes) -> None:
        line, found, self._got = self._got.partition(b"\r\n")
        good = line.startswith(wanted[:-3]) if wanted.endswith(b"...") else line == wanted
        if not (good and found):
            self.fail(wanted.decode(), line.decode("utf-8", "replace"))
