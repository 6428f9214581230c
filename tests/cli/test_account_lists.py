"""``zajil account add --from-csv`` and ``zajil import passwd-file``."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.command_line import Run, as_json


def test_accounts_of_a_csv_file(run: Run, tmp_path: Path) -> None:
    people, passwords = tmp_path / "people.csv", tmp_path / "new-passwords.csv"
    people.write_text("address,name,quota\nسلمى@north.test,سلمى,1G\nnobody,,\n", "utf-8-sig")
    add = ("account", "add", "--from-csv", str(people))
    status, _, errors = run(*add)
    assert (status, "--passwords-to FILE" in errors) == (2, True)
    status, out, _ = run(*add, "--dry-run")
    assert status == 1
    assert "accounts would be added: 1; there before: 0; lines left out: 1" in out
    assert not passwords.exists()
    status, out, _ = run(*add, "--passwords-to", str(passwords))
    assert status == 1
    assert out.startswith("line 3: nobody: ")
    assert "accounts added: 1" in out
    assert passwords.stat().st_mode & 0o777 == 0o600
    assert passwords.read_text("utf-8").splitlines()[1].startswith('"سلمى@north.test",')
    assert as_json(run, "account", "show", "slma")["quota_size"] == 1 << 30
    status, _, errors = run(*add, "--passwords-to", str(passwords))
    assert (status, "name a new file" in errors) == (2, True)
    assert run(*add, "--passwords-to", str(tmp_path / "none.csv"))[0] == 1
    assert not (tmp_path / "none.csv").exists()


def test_accounts_of_a_passwd_file(run: Run, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("amal:{SHA}9t/X03UCPi8Q6BFniFioIo4rSEI=\nb:{NTLM}00\n")
    command = ("import", "passwd-file", str(users), "--domain", "north.test")
    status, out, _ = run(*command)
    assert status == 1
    assert "line 2: b: the password cannot be used: the scheme NTLM is not supported" in out
    users.write_text("amal:{SHA}9t/X03UCPi8Q6BFniFioIo4rSEI=\n")
    assert as_json(run, *command)["unchanged"] == ["amal@north.test"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("account", "add"),
        ("account", "add", "a@north.test", "--dry-run"),
        ("account", "add", "a@north.test", "--from-csv", "x"),
        ("account", "add", "--from-csv", "/nowhere/x"),
        ("import", "passwd-file", "/nowhere/x"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    status, _, errors = run(*arguments)
    assert status == 2
    assert errors
