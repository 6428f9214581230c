"""``zajil account move`` without a server: what is done with an account meanwhile and later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import rmtree

import pytest

from kit.command_line import Run, as_json
from kit.store import make_intake, open_test_store
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.operations import shard_move
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import AccountRow, list_accounts
from zajil.store.people.directory import look_up
from zajil.store.shards.move import let_go

WHO = "amal@west.test"
MESSAGES = 5


@pytest.fixture
def sharded(server: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The domain ``west.test`` is in the main shard; the shard east is empty."""
    monkeypatch.setattr(shard_move, "HEARD_SECONDS", 0.0)
    with server.open("a") as file:
        file.write('\n[store.shards]\neast = { url = "sqlite" }\n')
    assert run("shard", "create", "east")[0] == 0
    assert run("domain", "add", "west.test")[0] == 0
    assert run("account", "add", WHO)[0] == 0
    return run


def put_messages(server: Path, who: str = WHO) -> None:
    store = open_test_store("sqlite", server.parent / "data")
    entry = store.read_now(lambda conn: look_up(conn, parse_address(who))).entry
    assert isinstance(entry, AccountEntry)
    for number in range(MESSAGES):
        text = f"Subject: {number}\r\n\r\nText\r\n".encode()
        store.write_now(write_intakes, make_intake(store.blobs.stage([text]), local=[entry]))
    store.close_now()


def places(run: Run) -> dict[str, int]:
    """Return how many accounts are apart from their domains, by shard."""
    return {one["name"]: one["single"] for one in as_json(run, "shard", "list")["shards"]}


def test_the_catalogue_follows_names_of_a_moved_account(sharded: Run) -> None:
    assert sharded("account", "move", WHO, "--to", "east")[0] == 0
    assert places(sharded) == {"main": 0, "east": 1}
    refused = sharded("domain", "remove", "west.test")
    assert refused[2] == "zajil: accounts are in other shards: amal@west.test\n"
    renamed = sharded("account", "rename", WHO, "--login", "amal2")
    assert renamed[::2] == (0, "")
    assert as_json(sharded, "account", "show", "amal2")["address"] == WHO
    assert sharded("account", "remove", WHO, "--yes")[::2] == (0, "")
    assert places(sharded) == {"main": 0, "east": 0}


def test_a_renamed_account_takes_the_login_of_nobody_in_another_shard(sharded: Run) -> None:
    """Its own shard does not know whose login it is: the other one could log in no more."""
    assert sharded("account", "add", "boss@west.test")[0] == 0
    assert sharded("account", "move", WHO, "--to", "east")[0] == 0
    assert sharded("account", "rename", WHO, "--login", "boss")[::2] == (0, "")
    assert as_json(sharded, "account", "show", "boss")["address"] == "boss@west.test"
    assert as_json(sharded, "account", "show", WHO)["login"] == "boss"


def test_names_of_a_moved_account_stay_taken_in_its_old_shard(sharded: Run, server: Path) -> None:
    """Whoever got them could not log in, and would get no mail."""
    assert sharded("account", "move", WHO, "--to", "east")[0] == 0
    store = open_test_store("sqlite", server.parent / "data")
    (row,) = store.read_now(lambda conn: [one for one in list_accounts(conn) if is_who(one)])
    store.write_now(let_go, row.account_id)
    store.close_now()
    assert sharded("domain", "add", "south.test")[0] == 0
    assert sharded("account", "add", "amal@south.test")[0] == 0
    assert as_json(sharded, "account", "show", "amal@south.test")["login"] == "amal2"
    for command in (
        ("account", "add", WHO),
        ("alias", "add", WHO, "amal@south.test"),
        ("account", "rename", "amal@south.test", "--login", "amal"),
    ):
        status, _, told = sharded("--shard", "main", *command)
        assert (status, "already exists" in told) == (1, True), told


def is_who(row: AccountRow) -> bool:
    return row.address == parse_address(WHO)


def test_an_account_on_its_way_is_not_removed(
    sharded: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mail is in two shards then: what was removed of one would stay in the other."""

    def fail(*_arguments: object) -> None:
        raise StoreUnavailable("the network is away")

    monkeypatch.setattr(shard_move, "_switch", fail)
    assert sharded("account", "move", WHO, "--to", "east")[0] == 1
    for command in (("remove", WHO, "--yes"), ("erase", WHO, "--yes")):
        status, _, told = sharded("account", *command)
        assert (status, "is being moved to the shard east" in told) == (1, True), told


def test_what_an_erasure_leaves_in_other_shards_is_named(sharded: Run) -> None:
    assert sharded("account", "move", WHO, "--to", "east")[0] == 0
    status, out, _ = sharded("account", "erase", WHO, "--yes")
    assert status == 0
    assert "what filters learned in the shards main" in out
    assert sharded("--shard", "main", "account", "erase", WHO, "--yes")[0] == 0
    assert places(sharded) == {"main": 0, "east": 0}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_move_that_is_killed_after_any_commit_goes_on(sharded: Run, server: Path) -> None:
    patch = server.parent / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(_KILL)
    for number in range(1, 20):
        who = f"a{number}@west.test"
        assert sharded("account", "add", who)[0] == 0
        put_messages(server, who)
        environment = {**os.environ, "PYTHONPATH": str(patch), "KILL_AFTER": str(number)}
        command = ["--config", str(server), "account", "move", who, "--to", "east"]
        killed = subprocess.run(
            [sys.executable, "-m", "zajil", *command], env=environment, capture_output=True
        )
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        moved = sharded("account", "move", who, "--to", "east")
        if "a moment ago" not in moved[2]:  # it was done, and could not say so
            assert moved[0] == 0, (number, moved)
        shown = as_json(sharded, "account", "show", who)
        assert (shown["active"], shown["messages"]) == (True, MESSAGES), (number, shown)
    assert number > 5
    for shard in ("main", "east"):
        assert sharded("--shard", shard, "store", "check")[0] == 0


_KILL = """
import os
from zajil.store.engine.open import Store

write_now, left = Store.write_now, [int(os.environ["KILL_AFTER"])]


def write_or_die(self, unit, item):
    done = write_now(self, unit, item)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
    return done


Store.write_now = write_or_die
"""


def test_an_account_that_a_restored_shard_lacks_comes_back_where_its_domain_is(
    sharded: Run, server: Path, tmp_path: Path
) -> None:
    target = ("--set", f"backup.target={tmp_path}/copies")
    put_messages(server)
    for shard in ("main", "east"):
        assert sharded(*target, "--shard", shard, "backup", "create")[0] == 0
    assert sharded("account", "move", WHO, "--to", "east")[0] == 0
    rmtree(server.parent / "data/shards/east")
    assert sharded(*target, "--shard", "east", "backup", "restore")[0] == 0
    assert sharded("account", "show", WHO)[0] == 1
    main = open_test_store("sqlite", server.parent / "data")  # ten minutes later
    entry = main.read_now(lambda conn: look_up(conn, parse_address(WHO))).entry
    assert isinstance(entry, AccountEntry)
    main.write_now(let_go, entry.account_id)
    main.close_now()
    restored = sharded(*target, "--shard", "main", "backup", "restore-account", WHO)
    assert restored[0] == 0, restored
    assert "its shard does not have it" in sharded("account", "remove", WHO, "--yes")[1]
    shown = as_json(sharded, "account", "show", WHO)
    assert (shown["active"], shown["messages"]) == (True, MESSAGES)
