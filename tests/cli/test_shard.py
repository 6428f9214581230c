"""``zajil shard``, ``--shard``, and commands that find the shard by a name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shutil import rmtree

import pytest

from kit.command_line import Run, as_json
from kit.store import make_intake, open_test_store
from zajil.app.shards import ShardNotConfigured, prepare_shards
from zajil.config.load import load_configuration
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.net.system import SystemClock
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import list_accounts
from zajil.store.people.directory import look_up
from zajil.store.shards.move import blobs_of_account
from zajil.store.shards.numbers import RANGE


@pytest.fixture
def sharded(server: Path, run: Run) -> Run:
    """The server has two further shards; one was created."""
    with server.open("a") as file:
        file.write('\n[store.shards]\neast = { url = "sqlite" }\nwest = { url = "sqlite" }\n')
    status, out, err = run("shard", "create", "east")
    assert (status, err) == (0, ""), err
    assert "zajil --shard east domain add DOMAIN" in out
    return run


def test_a_domain_in_a_shard_is_found_by_its_name(sharded: Run, server: Path) -> None:
    assert sharded("--shard", "east", "domain", "add", "east.test")[0] == 0
    status, out, err = sharded("account", "add", "anna@east.test")
    assert (status, err) == (0, "")
    assert out.startswith("added anna@east.test, login anna")
    assert sharded("account", "suspend", "anna@east.test")[0] == 0
    logins = [
        [row["login"] for row in as_json(sharded, *shard, "account", "list")["accounts"]]
        for shard in ((), ("--shard", "east"))
    ]
    assert logins == [["admin"], ["anna"]]
    shown = as_json(sharded, "account", "show", "anna@east.test")
    assert not shown["active"]
    states = as_json(sharded, "shard", "list")["shards"]
    found = {one["name"]: (one["number"], one["domains"]) for one in states}
    assert found == {
        "main": (0, ["north.test"]),
        "east": (1, ["east.test"]),
        "west": (None, []),
    }
    assert (server.parent / "data/shards/east/store.sqlite").exists()
    assert "create it: zajil shard create west" in sharded("shard", "list")[1]


def test_a_domain_is_in_one_shard_only(sharded: Run) -> None:
    assert sharded("--shard", "east", "domain", "add", "north.test")[2] == (
        "zajil: the domain north.test is in the shard main\n"
    )
    assert (
        "shard west does not exist; `zajil shard create`"
        in (sharded("--shard", "west", "domain", "add", "west.test")[2])
    )
    assert sharded("--shard", "east", "domain", "add", "east.test")[0] == 0
    assert sharded("domain", "add", "east.test")[0] == 1
    assert sharded("domain", "remove", "east.test")[0] == 0
    assert sharded("domain", "add", "east.test")[0] == 0
    assert as_json(sharded, "shard", "list")["shards"][0]["domains"] == ["east.test", "north.test"]


def test_what_cannot_be_meant(sharded: Run) -> None:
    assert sharded("--shard", "north", "account", "list")[2] == (
        "zajil: store.shards has no shard 'north'; there are: main, east, west\n"
    )
    assert sharded("--shard", "east", "status")[0] == 2
    assert sharded("shard", "create", "east")[2] == "zajil: the shard east already exists\n"


def test_ids_of_shards_are_apart(sharded: Run) -> None:
    sharded("shard", "create", "west")
    for name in ("east", "west"):
        sharded("--shard", name, "domain", "add", f"{name}.test")
        sharded("account", "add", f"anna@{name}.test")
    assert sharded("--shard", "west", "store", "check")[0] == 0
    assert sharded("--shard", "west", "upgrade", "run")[1] == "the store is up to date\n"


def test_each_shard_has_its_backups(sharded: Run, tmp_path: Path) -> None:
    target = f"backup.target={tmp_path}/copies"
    sharded("--shard", "east", "domain", "add", "east.test")
    sharded("account", "add", "anna@east.test")
    for shard in ("main", "east"):
        made = sharded("--set", target, "--shard", shard, "backup", "create")
        assert made[::2] == (0, ""), made
    assert sorted(path.name for path in tmp_path.glob("copies*")) == ["copies", "copies-east"]
    assert sharded("account", "remove", "anna@east.test", "--yes")[0] == 0
    restored = sharded("--set", target, "backup", "restore-account", "anna@east.test")
    assert restored[::2] == (0, ""), restored
    assert sharded("account", "show", "anna@east.test")[0] == 0


def test_one_shard_is_restored_alone(sharded: Run, server: Path, tmp_path: Path) -> None:
    target = ("--set", f"backup.target={tmp_path}/copies", "--shard", "east")
    data = server.parent / "data"
    sharded("--shard", "east", "domain", "add", "east.test")
    sharded("account", "add", "anna@east.test")
    east = open_test_store("sqlite", data / "shards/east")
    entry = east.read_now(lambda conn: look_up(conn, parse_address("anna@east.test"))).entry
    assert isinstance(entry, AccountEntry)
    text = b"Subject: kept\r\n\r\nText\r\n"
    east.write_now(write_intakes, make_intake(east.blobs.stage([text]), local=[entry]))
    (blob_id,) = east.read_now(partial(blobs_of_account, account_id=entry.account_id))
    east.close_now()
    assert sharded(*target, "backup", "create")[::2] == (0, "")
    main = (data / "store.sqlite").read_bytes()

    rmtree(data / "shards/east")
    assert sharded("account", "show", "anna@east.test")[0] == 1
    assert sharded("account", "show", "admin")[0] == 0
    problems = {one["name"]: one["problem"] for one in as_json(sharded, "shard", "list")["shards"]}
    assert (problems["main"], "is missing" in problems["east"]) == ("", True)
    restored = sharded(*target, "backup", "restore")
    assert restored[0] == 0, restored
    assert (data / "store.sqlite").read_bytes() == main
    assert sharded("--shard", "east", "store", "check")[0] == 0
    assert sharded("account", "add", "bob@east.test")[0] == 0
    east = open_test_store("sqlite", data / "shards/east")
    assert east.read_now(partial(east.blobs.read, blob_id=blob_id)) == text
    assert [row.account_id // RANGE for row in east.read_now(list_accounts)] == [1, 1]
    east.close_now()


def test_what_is_about_the_main_shard_alone_says_so(sharded: Run) -> None:
    status, out, err = sharded("queue", "list")
    assert status == 0
    assert err == (
        "zajil: this is about the shard main; --shard NAME chooses another one (east, west)\n"
    )
    assert sharded("--shard", "main", "queue", "list") == (0, out, "")
    assert sharded("queue", "list", "--json")[2] == ""


def test_a_server_needs_all_shards_that_have_domains(sharded: Run, server: Path) -> None:
    """Else it would refuse their mail for good, because a line of the configuration was lost."""
    assert sharded("--shard", "east", "domain", "add", "east.test")[0] == 0
    text = server.read_text()
    server.write_text(text[: text.index("[store.shards]")])
    with pytest.raises(ShardNotConfigured, match=r"shard east, which store\.shards does not name"):
        prepare_shards(load_configuration(server, ()), SystemClock(), 1.0)
    server.write_text(text)
    assert sharded("domain", "remove", "east.test")[0] == 0
    server.write_text(text[: text.index("[store.shards]")])
    start = prepare_shards(load_configuration(server, ()), SystemClock(), 1.0)
    assert ([one.name for one in start.done], start.locks) == (["main"], [])
