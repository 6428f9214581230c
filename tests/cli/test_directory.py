"""``zajil directory`` with a real LDAP server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.clock import FakeClock
from kit.command_line import Run, as_json
from kit.slapd import PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Slapd, person, serving
from kit.store import running
from zajil.app.directory import find_directory_problem
from zajil.config.load import load_configuration
from zajil.monitor.conditions import AlertKind
from zajil.operations.run import open_admin_store

pytestmark = pytest.mark.interop


@pytest.fixture
def slapd(server: Path, tmp_path: Path) -> Iterator[Slapd]:
    """A directory that the server is configured for."""
    people = [person("amal"), person("basim"), person("nobody", mail="nobody@elsewhere.test")]
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), people) as slapd:
        secret = tmp_path / "directory-password"
        secret.write_text(SERVICE_PASSWORD + "\n")
        options = (
            f'[directory]\nurls = ["{slapd.ldaps}"]\nca_file = "{slapd.authority.ca_file}"\n'
            f'bind_dn = "{SERVICE_DN}"\npassword = {{ file = "{secret}" }}\n'
            f'base = "{PEOPLE}"\ndomains = ["south.test"]\n'
        )
        text = server.read_text()
        assert "\n[directory]\n" in text
        server.write_text(text.replace("[directory]\n", options))
        yield slapd


def test_a_directory_from_the_command_line(
    run: Run, slapd: Slapd, server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, errors = run("directory", "check")
    assert (status, errors) == (0, "")
    assert "people: 2; left out: 1" in out
    assert len(as_json(run, "directory", "check")["people"]) == 2
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "password of amal")
    assert run("directory", "check", "amal@south.test")[0] == 0
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "wrong")
    assert run("directory", "check", "amal@south.test")[0] == 1
    assert run("directory", "check", "nobody@south.test")[0] == 2
    # Its domain is not there yet: everybody is listed, and nothing happens.
    status, out, _ = run("directory", "sync")
    assert (status, out.count("is not a domain of this server")) == (0, 2)
    run("domain", "add", "south.test")
    assert "would be created: amal@south.test" in run("directory", "sync", "--dry-run")[1]
    assert as_json(run, "directory", "sync")["created"] == ["amal@south.test", "basim@south.test"]
    shown = as_json(run, "directory", "show")
    assert [one["login"] for one in shown["accounts"]] == ["amal", "basim"]
    assert "compared with the directory: 20" in run("directory", "show")[1]
    status, _, errors = run("account", "password", "amal")
    assert (status, "in the directory" in errors) == (1, True)
    assert as_json(run, "account", "show", "amal")["linked_with"] == ["ldap"]
    assert run("account", "unlink", "basim", "ldap")[0] == 0
    status, _, errors = run("account", "unlink", "basim", "ldap")
    assert (status, "with: nothing" in errors) == (1, True)
    assert run("account", "password", "basim")[0] == 0
    slapd.stop()
    status, _, errors = run("directory", "sync")
    assert (status, "Connection refused" in errors) == (1, True)
    status, out, _ = run("directory", "show")
    assert (status, "failed since: cannot ask the directory" in out) == (1, True)
    _see_alert(server)


def _see_alert(server: Path) -> None:
    """A directory may be away for an hour; then the administrators are told."""

    async def look() -> None:
        clock = FakeClock(0)
        with open_admin_store(load_configuration(server)) as store:
            async with running(store):
                assert await find_directory_problem(store, clock) == []
                clock.advance(1 << 50)
                found = await find_directory_problem(store, clock)
                assert [one.kind for one in found or ()] == [AlertKind.DIRECTORY]

    asyncio.run(look())


def test_without_a_directory_the_commands_say_so(run: Run) -> None:
    for command in ("check", "sync"):
        status, _, errors = run("directory", command)
        assert (status, "directory.urls is not set" in errors) == (2, True)
    assert run("directory", "show")[0] == 0
