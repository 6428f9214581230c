"""A command imports what it needs: the server, the pages and their libraries are not among it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit.command_line import Run
from zajil.cli.commands import Commands

_FOREIGN = ("alembic", "psycopg", "httpx", "uvicorn", "starlette", "jinja2", "babel", "dns", "rich")
"""Libraries that take long to import."""
_OURS = ("web", "app", "receive", "submit", "deliver", "read", "smtp", "imap.server", "lab")
_PROBE = """
import sys
from zajil.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*sys.modules, file=sys.stderr)
"""


def _imported(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_a_command_imports_neither_the_server_nor_its_libraries(server: Path) -> None:
    found = _imported("--config", str(server), "account", "list")
    assert not {name.partition(".")[0] for name in found} & set(_FOREIGN)
    assert not {name for name in found if name.startswith("zajil.")} & {
        f"zajil.{package}" for package in _OURS
    }
    assert "zajil.cli.account" in found
    assert not {name for name in found if name.startswith("zajil.cli.queue")}


def test_each_command_is_found_by_its_name() -> None:
    commands = Commands()
    assert {name: command.name for name, command in commands.items()} == {
        name: name for name in commands
    }


def test_the_help_lists_all_commands(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for name, command in Commands().items():
        assert f"│ {name} " in out
        assert command.help
