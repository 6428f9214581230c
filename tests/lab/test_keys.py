"""The lab's name server publishes what the stores hold."""

from __future__ import annotations

import os
from pathlib import Path

from zajil.config.load import load_configuration
from zajil.lab.keys import LabKeys
from zajil.net.system import SystemClock
from zajil.operations.dkim_keys import rotate_keys
from zajil.operations.run import open_runner
from zajil.operations.setup import set_up
from zajil.operations.setup_plan import SetupPlan


def test_a_new_key_is_found_at_once(tmp_path: Path) -> None:
    plan = SetupPlan(
        domain="north.test",
        folder=tmp_path / "mail",
        hostname=None,
        admin=None,
        login=None,
        password=None,
        user=None,
        store_url=None,
    )
    configuration = load_configuration(set_up(plan, SystemClock(), os.urandom).configuration)
    keys = LabKeys()
    keys.add("north.test", configuration)
    assert keys.find("rsa-20261123._domainkey.north.test") is None
    with open_runner(configuration) as runner:
        made = runner.run(rotate_keys, "north.test", configuration.keys, at_once=True)
    for row in made:
        found = keys.find(f"{row.selector}._domainkey.north.test")
        assert found is not None
        assert found.startswith('"v=DKIM1; h=sha256; k=')
    assert keys.find("north.test") is None
    assert keys.find("x._domainkey.south.test") is None
    keys.close()
    assert keys.find(f"{made[0].selector}._domainkey.north.test") is None
