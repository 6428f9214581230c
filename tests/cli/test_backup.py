"""`zajil backup` as an operator meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from kit.backups import fill_store
from kit.command_line import Run
from kit.store import open_test_store


def fill(server: Path) -> None:
    store = open_test_store("sqlite", server.parent / "data")
    try:
        fill_store(store, messages=5, large=0)
    finally:
        store.close_now()


def test_back_up_and_restore_everything(run: Run, server: Path, tmp_path: Path) -> None:
    fill(server)
    target = str(tmp_path / "target")
    before = run("account", "list")[1]
    assert run("backup", "create")[0] == 2
    assert run("backup", "list", "--target", target)[0] == 1
    status, _, err = run("backup", "create", "--target", str(server.parent / "data" / "backup"))
    assert (status, "is in the data folder" in err) == (2, True)
    status, out, err = run("backup", "create", "--target", target)
    assert (status, err) == (0, "")
    assert "accounts, 5 messages" in out
    status, out, _ = run("backup", "list", "--target", target, "--json")
    (snapshot,) = json.loads(out)["snapshots"]
    assert snapshot["messages"] == 5
    # The store is never overwritten; without one it comes back, with what waited held.
    status, _, err = run("backup", "restore", "--target", target)
    assert status == 1
    assert "move the data folder away" in err
    shutil.move(server.parent / "data", tmp_path / "away")
    status, out, err = run("backup", "restore", "--target", target)
    assert (status, err) == (0, "")
    assert "mail to 1 recipient (" in out
    assert run("account", "list")[1] == before
    assert "restored from the backup of" in run("queue", "list", "--json")[1]
    assert run("store", "check")[0] == 0
    status, _, err = run("backup", "restore", "--target", target, "--snapshot", "1999")
    assert (status, "no snapshot whose name begins with 1999" in err) == (1, True)
    assert run("backup", "restore", "--target", target, "--queue", "lose")[0] == 2


def test_the_configuration_comes_back_on_a_new_machine(
    run: Run, server: Path, tmp_path: Path
) -> None:
    (server.parent / "s3.secret").write_text("a secret")
    text = server.read_text()
    for option, value in (
        ("/backup/zajil", str(tmp_path / "target")),
        ("/etc/zajil/backup.key", "backup.key"),
    ):
        name = "target" if value != "backup.key" else "key_file"
        text = text.replace(f'# {name} = "{option}"', f'{name} = "{value}"')
    text += 'access_key = "me"\nsecret_key = { file = "s3.secret" }\n'
    server.write_text(text)
    status, _, err = run("backup", "create")
    assert (status, "does not exist" in err) == (2, True)
    status, out, _ = run("backup", "key")
    assert (status, "Keep a copy of it" in out) == (0, True)
    assert run("backup", "key")[0] == 1
    assert run("backup", "create")[0] == 0
    key = shutil.copy(server.parent / "backup.key", tmp_path / "key")
    server.unlink()
    given = ("--target", str(tmp_path / "target"), "--key-file", str(key))
    status, out, _ = run("backup", "files", "/", *given)
    assert f"wrote {server}" in out
    assert status == 1  # the other files were there
    assert server.read_text() == text
    assert run("backup", "files", str(tmp_path / "other"), *given)[0] == 0
    below = tmp_path / "other" / server.parent.relative_to("/")
    assert (below / "s3.secret").read_text() == "a secret"
    assert not (below / "backup.key").exists()
    server.unlink()
    status, _, err = run("backup", "list", *given[:2])
    assert (status, "is encrypted" in err) == (1, True)


def test_damage_is_found_and_old_snapshots_go(run: Run, server: Path, tmp_path: Path) -> None:
    fill(server)
    target = tmp_path / "target"
    given = ("--target", str(target))
    assert run("backup", "create", *given)[0] == 0
    assert run("backup", "create", *given)[0] == 0
    status, out, _ = run("backup", "verify", *given)
    assert (status, "nothing is damaged" in out) == (0, True)
    assert run("backup", "verify", "--part", "3/2", *given)[0] == 2
    largest = max((target / "objects").rglob("*/*"), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"damaged")
    status, out, _ = run("backup", "verify", *given, "--repair")
    assert (status, largest.name in out, "deleted 1 damaged" in out) == (1, True, True)
    assert run("backup", "create", *given)[0] == 0
    assert run("backup", "verify", *given)[0] == 0
    status, out, _ = run("backup", "prune", "--keep", "1", "--keep-days", "0", "--json", *given)
    assert len(json.loads(out)["deleted"]) == 2
    assert run("backup", "verify", *given, "--part", "1/2")[0] == 0
