"""``zajil dkim keys|rotate|revoke`` as an operator and other programs meet it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zajil.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    template: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command for a copy of that server; give status, stdout, stderr."""
    server = Path(shutil.copytree(template, tmp_path / "mail")) / "zajil.toml"
    monkeypatch.setenv("ZAJIL_CONFIG", str(server))

    def run_command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


def keys(run: Run, *arguments: str) -> list[dict[str, Any]]:
    status, out, err = run("dkim", *arguments, "--json")
    assert (status, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)["keys"]
    return found


def test_a_new_server_signs_with_both_algorithms(run: Run) -> None:
    first = keys(run, "keys")
    assert [(key["domain"], key["algorithm"], key["state"]) for key in first] == [
        ("north.test", "ed25519-sha256", "active"),
        ("north.test", "rsa-sha256", "active"),
    ]
    for key in first:
        assert key["record_name"] == f"{key['selector']}._domainkey.north.test"
        assert key["record_value"].startswith("v=DKIM1; ")
    _, out, _ = run("dns", "records", "north.test")
    assert all(key["record_text"] in out for key in first)
    assert "private" not in str(first).lower()


def test_keys_are_rotated_and_revoked(run: Run) -> None:
    old = keys(run, "keys", "north.test")
    assert {key["state"] for key in keys(run, "rotate", "north.test")} == {"published"}
    status, _, err = run("dkim", "rotate", "north.test")
    assert status == 1
    assert "whose DNS records are missing" in err
    assert {key["state"] for key in keys(run, "rotate", "north.test", "--now")} == {"active"}
    gone = keys(run, "revoke", "north.test", *(key["selector"] for key in old))
    assert [key["record_value"].partition("p=")[2] for key in gone] == ["", ""]
    assert [key["state"] for key in keys(run, "keys")] == ["revoked"] * 2 + ["active"] * 2


def test_a_domain_that_is_added_gets_keys_too(run: Run) -> None:
    run("domain", "add", "زاجل.test")
    found = keys(run, "keys", "زاجل.test")
    assert {(key["domain"], key["ascii_domain"]) for key in found} == {
        ("زاجل.test", "xn--mgbkq8e.test")
    }
    assert keys(run, "keys", "--create") == keys(run, "keys")


def test_people_read_what_to_publish(run: Run) -> None:
    status, out, _ = run("dkim", "keys")
    assert status == 0
    assert "IN DNS" not in out
    assert "._domainkey.north.test.  TXT  " in out


@pytest.mark.parametrize(
    "command", [["keys", "x.test"], ["rotate", "x.test"], ["revoke", "north.test", "no-such"]]
)
def test_what_is_not_there_is_said_in_a_sentence(run: Run, command: list[str]) -> None:
    status, out, err = run("dkim", *command)
    assert (status, out) == (1, "")
    assert err.startswith("zajil: ")
