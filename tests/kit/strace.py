"""System calls of a program and its descendants, as strace saw them: in order, with their data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.foreign import need_program

DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Step:
    """A system call begins or ends; of one thread, ends follow begins."""

    thread: int
    at: float
    """Seconds since 1970."""
    name: str
    arguments: str
    """As strace writes them; at the begin only those that the program gave."""
    result: int | None
    """``None``: it begins. Below 0: it failed."""


def strace_command(output: Path, calls: Iterable[str], *options: str) -> list[str]:
    """Return what to put in front of a command, or skip the test that calls.

    Args:
        output: ``read_trace`` takes it.
        calls: the system calls that count.
        options: more options of strace.
    """
    command = [need_program("strace"), "--follow-forks", "--seccomp-bpf", "-ttt", "-T", "-y"]
    command += ["-s", str(1 << 24), "-o", str(output), "-e", f"trace={','.join(calls)}"]
    return [*command, "-e", "signal=none", *options]


def read_trace(path: Path) -> Iterator[Step]:
    """Return the steps in the order in which they happened."""
    begun: dict[int, tuple[str, str]] = {}
    with path.open(encoding="latin-1", newline="\n") as lines:
        for line in lines:
            head = _HEAD.match(line)
            if head is None:
                raise ValueError(f"not a line of strace: {line[:200]!r}")
            thread, at, rest = int(head[1]), float(head[2]), line[head.end() : -1]
            if rest.startswith("+++"):
                begun.pop(thread, None)
            elif rest.endswith(_UNFINISHED):
                name, _, arguments = rest.removesuffix(_UNFINISHED).partition("(")
                begun[thread] = name, arguments
                yield Step(thread, at, name, arguments, None)
            elif resumed := _RESUMED.match(rest):
                name, arguments = begun.pop(thread)
                ended = _end(name, arguments + rest[resumed.end() :])
                if ended is not None:
                    yield Step(thread, at, *ended[:3])
            else:
                name, _, arguments = rest.partition("(")
                ended = _end(name, arguments)
                if ended is not None:
                    yield Step(thread, at, name, ended[1], None)
                    yield Step(thread, at + ended[3], *ended[:3])


def strings(arguments: str) -> list[bytes]:
    """Return the strings among arguments."""
    return [ast.literal_eval(f'b"{text}"') for text in _STRING.findall(arguments)]


def files(arguments: str) -> list[str]:
    """Return the paths of the descriptors among arguments; ``DELETED`` follows where it is gone."""
    found = _DESCRIPTOR.finditer(_STRING.sub('""', arguments))
    return [one[1] + (DELETED if one[2] or one[3] else "") for one in found]


def numbers(arguments: str) -> list[int]:
    """Return the numbers behind the last string or descriptor."""
    tail = arguments[arguments.rfind('"') + 1 :]
    return [int(one) for one in _NUMBER.findall(tail[tail.rfind(">") + 1 :])]


def _end(name: str, text: str) -> tuple[str, str, int, float] | None:
    """Return name, arguments, result and seconds; ``None``: the program ended meanwhile."""
    arguments, _, told = text.rpartition(") = ")
    if not told:
        arguments, _, told = text.rpartition(")")
        told = told.strip().removeprefix("=").strip()
    result = _RESULT.match(told)
    return None if result is None else (name, arguments, int(result[1]), float(result[2]))


_UNFINISHED = " <unfinished ...>"
_HEAD = re.compile(r"(\d+) +(\d+\.\d+) ")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?:, )?")
_RESULT = re.compile(r"(-?\d+).*<(\d+\.\d+)>$")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"\d+<(/[^>]*?)( \(deleted\))?>(\(deleted\))?")
_NUMBER = re.compile(r"\b\d+\b")
