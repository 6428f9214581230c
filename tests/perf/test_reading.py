"""The benchmark of reading runs against our server; nothing here depends on speed."""

from __future__ import annotations

import email
import email.policy
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from made_mailbox import made_messages
from reading import LINES, Taken, row

PERF = Path(__file__).parent


def test_made_messages_are_well_formed_and_the_same_each_time() -> None:
    made = list(made_messages(200))
    assert made == list(islice(made_messages(300), 200))
    for one in made:
        parsed = email.message_from_bytes(one.data, policy=email.policy.SMTP)
        assert not parsed.defects
        assert {"from", "to", "subject", "date", "message-id"} <= {name.lower() for name in parsed}
    assert any("References" in email.message_from_bytes(one.data) for one in made)


def test_a_ratio_is_to_the_quicker_of_the_others() -> None:
    by_server = {
        "zajil": [Taken(4.0, 1.0), Taken(1.0, 1.0), Taken(3.0, 1.0)],
        "maildir": [Taken(8.0, 1.0), Taken(2.0, 1.0), Taken(2.0, 1.0)],
        "mdbox": [Taken(2.0, 1.0), Taken(4.0, 1.0), Taken(1.0, 1.0)],
    }
    assert row("x", by_server).endswith("| 2.00 | **1.75** (0.50..3.00) |")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_line_is_measured(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, str(PERF / "reading.py"), "--servers", "zajil", "--messages", "50"]
    command += ["--rounds", "1", "--keep", str(tmp_path / "kept"), "--json", str(result)]
    subprocess.run([*command, "--idle", "3"], check=True, stdout=subprocess.DEVNULL)
    measured = json.loads(result.read_text())
    assert list(measured) == [line.name for line in LINES]
