"""A server with two stores: ``y.test`` in the main shard, ``north.test`` in the shard north."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.installation import Installation, SetUp, serving, set_up
from kit.reloaded import set_up_on
from zajil.cli.main import main

PASSWORD = "a long password"


@dataclass(frozen=True, slots=True)
class Sharded:
    """An installation with accounts ``b@y.test`` and ``anna@north.test``."""

    configuration: Path
    login: str
    password: str

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed; give what it prints."""
        status, printed, told = self.try_to(*arguments)
        assert status == 0, (arguments, printed, told)
        return printed

    def read(self, *arguments: str) -> Any:
        """Run a command; give the object that it prints."""
        return json.loads(self.run(*arguments, "--json"))

    def try_to(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; give its status, and what it prints."""
        out, err = io.StringIO(), io.StringIO()
        status = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(["--config", str(self.configuration), *arguments])
            except SystemExit as ended:
                status = int(ended.code or 0)
        return status, out.getvalue(), err.getvalue()

    def add(self, address: str) -> Path:
        """Add an account; give the file with its password."""
        secret = self.configuration.parent / "password"
        secret.write_text(PASSWORD)
        self.run("account", "add", address, "--password-file", str(secret))
        return secret

    @contextmanager
    def served(self, tls: tuple[Path, Path], *settings: str) -> Iterator[Installation]:
        """Serve until the end of the block."""
        made = SetUp(self.configuration, self.login, self.password)
        with serving(made, tls, *settings, workers=2) as server:
            yield server


def make_sharded(folder: Path, *, main_url: str = "sqlite", north_url: str = "sqlite") -> Sharded:
    """Set up both shards in a new folder; nobody serves them yet."""
    made = set_up(folder) if main_url == "sqlite" else set_up_on(folder, main_url)
    text = made.configuration.read_text("utf-8")
    text += f'\n[store.shards]\nnorth = {{ url = "{north_url}" }}\n'
    made.configuration.write_text(text, "utf-8")
    sharded = Sharded(made.configuration, made.login, made.password)
    sharded.run("shard", "create", "north")
    sharded.run("--shard", "north", "domain", "add", "north.test")
    secret = sharded.add("anna@north.test")
    sharded.run("account", "password", "b@y.test", "--password-file", str(secret))
    return Sharded(made.configuration, made.login, PASSWORD)
