"""``zajil alerts``: what needs an operator, a test mail, and to dismiss one."""

from __future__ import annotations

from pathlib import Path

from kit.command_line import Run, as_json
from kit.store import small_store_options
from zajil.net.system import SystemClock, system_random
from zajil.store.engine.open import open_store
from zajil.store.reports.alerts import AlertChange, AlertRow, tell_alerts


def begin(server: Path, *rows: AlertRow) -> None:
    """Let conditions hold."""
    options, folder = small_store_options("sqlite"), server.parent / "data"
    if not folder.exists():
        folder = Path(next(server.parent.rglob("store.sqlite"))).parent
    store = open_store(options, folder, clock=SystemClock(), random=system_random)
    store.write_now(tell_alerts, AlertChange(seen={}, kept=rows))
    store.close_now()


DNS = AlertRow("dns", "north.test", 1_700_000_000_000, 0, {"records": "MX north.test"})


def test_nothing_needs_an_operator(run: Run) -> None:
    assert run("alerts", "list") == (0, "nothing needs an operator now\n", "")
    assert as_json(run, "alerts", "list") == {"alerts": []}


def test_what_needs_one_is_told_with_what_to_do(run: Run, server: Path) -> None:
    begin(server, DNS, AlertRow("of-the-future", "", 1, 1, {}))
    status, out, err = run("alerts", "list")
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "DNS records have changed: north.test  (dns north.test)",
        "  since 2023-11-14 22:13:20 UTC",
        "  These records of north.test were right before, and are missing or different now: "
        "MX north.test",
        "  Correct them in the zone of the domain, unless they were changed on purpose.",
        "  run: zajil dns check north.test",
    ]


def test_one_is_dismissed(run: Run, server: Path) -> None:
    begin(server, DNS)
    status, _, err = run("alerts", "dismiss", "dns", "south.test")
    assert status == 1
    assert "there is no alert dns of south.test: `zajil alerts list` shows all" in err
    assert run("alerts", "dismiss", "dns", "north.test") == (0, "dismissed\n", "")
    assert run("alerts", "list")[0] == 0


def test_a_test_goes_to_the_administrators(run: Run) -> None:
    status, out, _ = run("alerts", "test")
    assert (status, out) == (0, "sent to admin@north.test\n")
    found = as_json(run, "journey", "find", "--to", "admin@north.test")
    assert [one["from"] for one in found["mails"]] == ["postmaster@north.test"]
