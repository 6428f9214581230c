"""The Grafana board asks for metrics that exist, in PromQL that Prometheus understands."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grafana_board import BOARD, board_text
from kit.foreign import need_program
from monitor.test_rules import known_names

board: dict[str, Any] = json.loads(BOARD.read_text("utf-8"))
panels: list[dict[str, Any]] = board["panels"]
queries: list[str] = [one["expr"] for panel in panels for one in panel.get("targets", ())]


def test_it_is_what_the_tool_writes() -> None:
    assert BOARD.read_text("utf-8") == board_text(), "run tools/grafana_board.py"


def test_every_metric_exists() -> None:
    asked = {name for query in queries for name in re.findall(r"\bzajil_\w+", query)}
    assert len(asked) > 20
    assert asked <= known_names()


def test_grafana_can_import_it() -> None:
    """What its importer and its migrations rely on: ids, places, data source by a variable."""
    assert board["schemaVersion"] >= 39
    assert board["id"] is None
    assert board["uid"]
    assert [one["name"] for one in board["templating"]["list"]] == ["source", "instance"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in ("row", "stat", "timeseries")
        if panel["type"] == "row":
            continue
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${source}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        assert not steps or steps[0]["value"] is None


def test_no_two_panels_cover_each_other() -> None:
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


@pytest.mark.interop
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    promtool = need_program("promtool")
    rules = [
        {"record": f"q:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
