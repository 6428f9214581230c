"""``zajil queue``: which mails are meant, and what is done to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.command_line import Run, as_json
from kit.store import make_intake
from zajil.config.load import load_configuration
from zajil.net.system import SystemClock
from zajil.operations import queue as admin_queue
from zajil.operations.run import open_admin_store
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

DAY_MS = 86_400_000


@pytest.fixture
def store(server: Path) -> Iterator[Store]:
    """The store of the server whose commands are run."""
    with open_admin_store(load_configuration(server)) as opened:
        yield opened


def put(store: Store, *remote: str, sender: str | None = "amal@north.test", days: int = 0) -> str:
    """Let a mail wait in the queue that was accepted some days ago."""
    at_ms = SystemClock().now_ms() - days * DAY_MS
    content = store.blobs.stage((b"Subject: x\r\n\r\n",))
    item = make_intake(content, remote=remote, reverse_path=sender, at_ms=at_ms)
    store.write_now(write_intakes, item)
    return item.mail_id


def waiting(run: Run, *options: str) -> list[tuple[str, str]]:
    rows = as_json(run, "queue", "list", *options)["rows"]
    return [(row["mail_id"], row["recipient"]) for row in rows]


def test_the_list_shows_sender_age_and_size(run: Run, store: Store) -> None:
    mail_id = put(store, "x@one.test", days=3)
    bounce = put(store, "y@one.test", sender=None)
    rows = {row["mail_id"]: row for row in as_json(run, "queue", "list")["rows"]}
    assert (rows[mail_id]["sender"], rows[mail_id]["size"]) == ("amal@north.test", 14)
    assert 3 * DAY_MS <= rows[mail_id]["age_ms"] < 4 * DAY_MS
    lines = {line.split()[0]: line for line in run("queue", "list")[1].splitlines()}
    assert lines["MAIL"].split()[:5] == ["MAIL", "AGE", "SIZE", "SENDER", "RECIPIENT"]
    assert "  3d 0h  14 B  amal@north.test  x@one.test  waiting" in lines[mail_id]
    assert "  <>  " in lines[bounce]
    status, out, err = run("queue", "list", "--limit", "1")
    assert (status, len(out.splitlines())) == (0, 2)
    assert "There are more" in err
    assert as_json(run, "queue", "list", "--limit", "1")["more"] is True
    assert as_json(run, "queue", "list", "--limit", "2")["more"] is False


def test_mails_are_chosen_by_what_is_known_of_them(run: Run, store: Store) -> None:
    old = put(store, "x@one.test", "x@two.test", days=3)
    idn = put(store, "y@xn--mgbkq8e.test", sender="سلمى@زاجل.test")
    bounce = put(store, "x@one.test", sender=None)
    everything = [(old, "x@one.test"), (old, "x@two.test"), (idn, "y@xn--mgbkq8e.test")]
    assert sorted(waiting(run)) == sorted([*everything, (bounce, "x@one.test")])
    for options, expected in (
        (["--sender", "AMAL@north.test"], {old}),
        (["--sender", "north.test"], {old}),
        (["--sender", "orth.test"], set()),
        (["--sender", "@زاجل.test"], {idn}),
        (["--sender", "سلمى@زاجل.test"], {idn}),
        (["--sender", "<>"], {bounce}),
        (["--sender", "_mal@north.test"], set()),
        (["--recipient", "X@one.test"], {old, bounce}),
        (["--recipient", "two.test"], {old}),
        (["--next-hop", "زاجل.test"], {idn}),
        (["--domain", "One.test"], {old, bounce}),
        (["--older-than", "2d"], {old}),
        (["--older-than", "4d"], set()),
        (["--state", "held"], set()),
        (["--domain", "one.test", "--sender", "amal@north.test"], {old}),
    ):
        assert {mail_id for mail_id, _ in waiting(run, *options)} == expected, options
        done = as_json(run, "queue", "retry", *options)["done"]
        assert set(done) == expected, options


def test_only_the_chosen_recipients_are_acted_on(run: Run, store: Store) -> None:
    mail_id = put(store, "x@one.test", "y@one.test", "x@two.test")
    assert run("queue", "hold", "--next-hop", "one.test") == (0, "held 1 mail\n", "")
    assert waiting(run, "--state", "waiting") == [(mail_id, "x@two.test")]
    assert run("queue", "release", "--recipient", "y@one.test", mail_id)[0] == 0
    assert waiting(run, "--state", "held") == [(mail_id, "x@one.test")]
    assert run("queue", "delete", mail_id, "--state", "waiting", "--yes")[0] == 0
    assert waiting(run) == [(mail_id, "x@one.test")]
    assert run("queue", "expire", "--all") == (0, "gave up 1 mail\n", "")
    assert run("queue", "hold", "--sender", "nobody@far.test") == (0, "held 0 mails\n", "")


def test_what_is_deleted_leaves_its_journey_and_nothing_else(run: Run, store: Store) -> None:
    mail_id = put(store, "x@one.test", "x@two.test")
    other = put(store, "x@one.test")
    status, out, err = run("queue", "delete", mail_id)
    assert (status, out) == (2, "")
    assert "this deletes 1 mail without notice to the senders; confirm with --yes" in err
    done = run("queue", "delete", mail_id, "nothing", "--yes", "--reason", "spam")
    assert (done[0], done[1]) == (1, f"deleted {mail_id}\n")
    assert waiting(run) == [(other, "x@one.test")]
    journey = as_json(run, "journey", "show", mail_id)
    assert [one["state"] for one in journey["recipients"]] == ["discarded", "discarded"]
    told = run("journey", "show", mail_id, "--details")[1]
    assert "An operator discarded the message." in told
    assert "spam" in told
    assert as_json(run, "store", "sweep") == {"removed": 0}
    assert len(as_json(run, "journey", "find")["mails"]) == 2  # no DSN was made


def test_a_large_queue_is_changed_in_portions(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_queue, "PORTION", 2)
    mails = [put(store, "x@one.test", days=5 - number) for number in range(5)]
    status, out, err = run("queue", "hold", "--all")
    assert (status, out) == (0, "held 5 mails\n")
    assert err.splitlines() == ["2 of 5 mails", "4 of 5 mails", "5 of 5 mails"]
    status, out, _ = run("queue", "delete", "--state", "held", "--yes", "--json")
    assert (status, json.loads(out)["done"]) == (0, mails)
    assert waiting(run) == []


@pytest.mark.parametrize("action", ["hold", "release", "retry", "expire", "delete"])
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--all", "0000"],
        ["--all", "--sender", "a@b.test"],
        ["--state", "dead"],
        ["--older-than", "soon"],
        ["--sender", "a b@c.test"],
        ["--next-hop", "a b"],
        ["--recipient", "@"],
        ["--recipient", ""],
    ],
    ids=" ".join,
)
def test_what_is_not_said_clearly_is_wrong_usage(
    run: Run, store: Store, action: str, arguments: list[str]
) -> None:
    put(store, "x@one.test")
    status, out, err = run("queue", action, *arguments)
    assert (status, out, err.startswith("zajil: ")) == (2, "", True)
    assert len(waiting(run)) == 1
