"""The commands that import and export mail: what they print, and their exit status."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest

from kit.command_line import Run, as_json
from kit.moving import letter, make_maildir


def test_in_and_out(run: Run, tmp_path: Path) -> None:
    """What was left out is listed, and the status says that there is something."""
    root = make_maildir(tmp_path / "m", {".": {"1.h:2,S": letter(1), "2.h:2,": b""}})
    status, out, _ = run("import", "maildir", "admin", str(root))
    assert status == 1
    assert "left out: cur/2.h:2,: it is empty\n" in out
    assert "imported: 1 message, 1" in out
    assert run("import", "maildir", "admin", str(root), "--dry-run")[0] == 0
    done = as_json(run, "export", "mbox", "admin", str(tmp_path / "out"), "--mailbox", "INBOX")
    assert (done["messages"], done["left_out"], done["stopped"]) == (1, [], "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["INBOX.mbox"]
    into = as_json(
        run, "import", "mbox", "admin", str(tmp_path / "out/INBOX.mbox"), "--into", "Old/Letters"
    )
    assert (into["messages"], into["new_mailboxes"]) == (1, 1)
    assert run("export", "maildir", "admin", str(tmp_path / "o"), "--layout", "fs")[0] == 0
    assert (tmp_path / "o/Old/Letters/cur").is_dir()


def test_the_audit_trail_has_no_dry_run(run: Run, tmp_path: Path) -> None:
    root = make_maildir(tmp_path / "m", {".": {"1.h:2,S": letter(1)}})
    assert run("import", "maildir", "admin", str(root), "--dry-run")[0] == 0
    assert run("import", "maildir", "admin", str(root))[0] == 0
    _, out, _ = run("export", "mbox", "admin", str(tmp_path / "o"), "--dry-run")
    assert "1 message" in out
    assert run("audit")[1].count("Messages were") == 1


def test_wrong_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    make_maildir(tmp_path / "m", {".": {"1.h:2,S": letter(1)}})
    for arguments, status in (
        (("import", "maildir", "admin", str(tmp_path / "gone")), 1),
        (("import", "mbox", "admin", str(tmp_path / "x")), 1),
        (("import", "mbox", "admin", str(tmp_path / "m")), 1),
        (("import", "contacts", "admin", str(tmp_path / "x")), 2),
        (("import", "maildir", "nobody", str(tmp_path)), 1),
        (("export", "maildir", "admin", str(tmp_path / "o"), "--layout", "x"), 2),
        (("export", "mbox", "admin", str(tmp_path / "x")), 1),
    ):
        found = run(*arguments)
        assert (found[0], found[1]) == (status, ""), found
        assert found[2].count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_reads_as_the_owner_of_the_folder(
    run: Run, server: Path, open_folder: Path, tmp_path: Path
) -> None:
    """A Maildir that its owner alone can read; what root alone can read in it is left out."""
    nobody = pwd.getpwnam("nobody")
    root = make_maildir(
        open_folder / "m", {".": {"1.h:2,": letter(1), "2.h:2,": letter(2)}, ".A": {}}
    )
    for path in (root, *root.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)
    os.chown(root / "cur/2.h:2,", 0, 0)
    status, out, _ = run("import", "maildir", "admin", str(root), "--json")
    found = json.loads(out)
    assert (status, found["messages"]) == (1, 1)
    assert found["left_out"] == [{"what": "cur/2.h:2,", "why": "Permission denied"}]
    assert os.geteuid() == 0
