"""Every command of ``docs/run`` is run, in the order of its page, and does what the page says."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kit.command_line import Run
from kit.operator_page import PAGES as NAMES
from kit.operator_page import Command, commands_of
from kit.operator_table import NAMED_ONLY, NOT_RUN, PAGES, RUN_ELSEWHERE, Expected, Page
from kit.operator_world import World
from kit.terminal import on_terminal

ROOT = Path(__file__).parents[2]
ZAJIL = [sys.executable, "-m", "zajil"]
HARMLESS = re.compile("cd|chmod|chown|cp|curl|mkdir|mv|openssl|promtool|rm|sqlite3|umask|zajil")
"""Programs that a shell of the test runs in the world; others need an entry in the table."""
_RUN, _HELP = "run here", "named in a sentence; its help is asked for"
_TYPED_HERE = (_RUN, _HELP)
_PATIENCE_SECONDS = 60
ALL = [command for name in NAMES for command in commands_of(name)]
TYPED = {command.text for command in ALL if not command.is_inline}


def how(command: Command) -> str:
    """Tell what becomes of a command."""
    if command.text in NOT_RUN:
        return "not run"
    if command.text in RUN_ELSEWHERE:
        return "run by another test"
    if command.is_inline and command.text in TYPED:
        return "named in a sentence; run where it is typed"
    if command.text in NAMED_ONLY:
        is_ours = command.text.startswith("zajil ")
        return _HELP if is_ours else "named in a sentence, without arguments"
    return _RUN


@contextmanager
def ended_after(seconds: int) -> Iterator[None]:
    """Raise ``TimeoutError`` in a command that never ends, such as a server."""

    def end(number: int, frame: object) -> None:
        raise TimeoutError("it does not end: it needs an entry in kit/operator_table.py")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Typist:
    """Types the commands of one page."""

    def __init__(self, world: World, run: Run, stack: ExitStack, page: Page) -> None:
        self.world = world
        self.run = run
        self.stack = stack
        self.page = page
        self.folder = world.home
        self.umask = "022"

    def type_all(self, commands: list[Command]) -> Iterator[str]:
        """Type one after the other; gives what is wrong with each."""
        expected = [self.page.expected.get(one.text, Expected()) for one in commands]
        state = b""
        for at, (command, one) in enumerate(zip(commands, expected, strict=True)):
            database = self.world.data / "store.sqlite"
            if one.is_alternative:
                database.write_bytes(state)
            elif at + 1 < len(commands) and expected[at + 1].is_alternative:
                state = database.read_bytes()
            if one.before is not None:
                one.before(self.world, self.run, self.stack)
            status, printed = self._type(command, one)
            missing = [text for text in one.says if not re.search(text, printed, re.M)]
            if command.prints and printed.strip() != command.prints.strip():
                missing.append(command.prints)
            if status != one.status or missing or "Traceback" in printed:
                yield f"{command.place}\n  status {status}, missing {missing} in:\n{printed}"

    def _type(self, command: Command, one: Expected) -> tuple[int, str]:
        text = self._filled(command.text)
        if command.text in NAMED_ONLY:
            text += " --help"
        text = " ".join([text, *(shlex.quote(self._filled(word)) for word in one.adds)])
        words = shlex.split(text)
        if one.types:
            with on_terminal([*ZAJIL, *words[1:]]) as terminal:
                for prompt, answer in one.types:
                    terminal.expect(prompt)
                    if isinstance(answer, bytes):
                        return terminal.end_by(answer), terminal.text
                    terminal.type(answer)
                return terminal.end(), terminal.text
        if words[0] == "zajil" and "|" not in words and not one.is_process:
            with ended_after(_PATIENCE_SECONDS):
                status, out, err = self.run(*(os.path.expanduser(word) for word in words[1:]))
            return status, out + err
        return self._in_a_shell(text)

    def _filled(self, text: str) -> str:
        fill = {
            **self.page.fill,
            "{nameserver}": self.world.nameserver,
            "MAIL_ID": self.world.ids["queued"],
            "/etc/zajil": str(self.world.configuration.parent),
            "/var/lib/zajil": str(self.world.data),
            **self.world.fill,
            "{}": str(self.world.home),
        }
        for old, new in fill.items():
            text = text.replace(old, new)
        return text

    def _in_a_shell(self, text: str) -> tuple[int, str]:
        for part in re.split(r"&&|[|;]", text):
            covered = HARMLESS.fullmatch(part.split()[0])
            assert covered, f"{text}: nothing covers it; see kit/operator_table.py"
        for path in re.findall(r"(?<![\w:/.])/[\w./-]+", text):
            assert path.startswith(str(self.world.folder)), f"{text}: {path} is not of this world"
        after = self.world.folder / "after"
        script = f"set -o pipefail; umask {self.umask}; {text}; status=$?; "
        script += f"(pwd; umask) >{shlex.quote(str(after))}; exit $status"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "SSL_CERT_FILE": str(self.world.authority)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE_SECONDS,
        )
        folder, self.umask = after.read_text().split("\n")[:2]
        self.folder = Path(folder)
        return done.returncode, done.stdout


@pytest.mark.interop
@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_page(name: str, world: World, run: Run) -> None:
    commands = [one for one in commands_of(name) if how(one) in _TYPED_HERE]
    page = PAGES.get(name, Page())
    with ExitStack() as stack:
        page.prepare(world, run, stack)
        wrong = list(Typist(world, run, stack, page).type_all(commands))
    assert not wrong, "\n".join(wrong)


def test_what_becomes_of_each_command() -> None:
    """Prints the numbers; entries of the table that no page has any more are found."""
    count = Counter(how(command) for command in ALL)
    print(f"{len(ALL)} commands in {len(NAMES)} pages of docs/run")
    for kind, number in count.most_common():
        print(f"{number:4}  {kind}")
    reasons = Counter(NOT_RUN[one.text] for one in ALL if one.text in NOT_RUN)
    for reason, number in reasons.most_common():
        print(f"      {number}: {reason}")
    texts = {command.text for command in ALL}
    assert {*NOT_RUN, *RUN_ELSEWHERE, *NAMED_ONLY} <= texts
    assert set(PAGES) <= set(NAMES)
    for name, page in PAGES.items():
        assert set(page.expected) <= {command.text for command in commands_of(name)}, name
    for file in RUN_ELSEWHERE.values():
        assert (ROOT / file).exists(), file


def test_a_command_that_nothing_covers_is_found(world: World, run: Run) -> None:
    with ExitStack() as stack:
        typist = Typist(world, run, stack, Page())
        with pytest.raises(AssertionError, match="nothing covers it"):
            list(typist.type_all([Command("x", 1, "cd . && shutdown now", is_inline=False)]))
        with pytest.raises(AssertionError, match="not of this world"):
            list(typist.type_all([Command("x", 1, "rm -r /usr/lib/nothing", is_inline=False)]))
        (wrong,) = typist.type_all([Command("x", 1, "zajil queue dance", is_inline=False)])
        assert "status 2" in wrong
