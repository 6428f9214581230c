#!/usr/bin/env python3
"""Write ``packaging/grafana/zajil.json``, the Grafana board, from the list of panels below.

``tests/monitor/test_board.py`` fails where the file is not what this list says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOARD = Path(__file__).resolve().parent.parent / "packaging" / "grafana" / "zajil.json"
_SCHEMA = 39
"""Of Grafana 10.4; newer ones upgrade it when it is imported."""
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HERE = 'instance=~"$instance"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; its queries are pairs of PromQL and legend."""

    title: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 7
    steps: Sequence[tuple[float | None, str]] = ()
    """Colours from a value on."""


def _rate(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_HERE}{more}}}[$__rate_interval]))"


def _now(metric: str, more: str = "", by: str = "") -> str:
    return f"max{f' by ({by})' if by else ''} ({metric}{{{_HERE}{more}}})"


def _quantile(metric: str, share: float) -> str:
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', 'le')})"


_GOOD_FROM_1 = ((None, "red"), (1, "green"))
_BAD_FROM_1 = ((None, "green"), (1, "orange"))
_DAY = 86400
_WAITING = ',state="waiting"'
_END = "zajil_certificate_not_after_timestamp_seconds"

ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "State",
        (
            Panel(
                "Servers that answer",
                (('sum(up{job="zajil"})', ""),),
                "stat",
                width=4,
                height=4,
                steps=_GOOD_FROM_1,
            ),
            Panel(
                "Store",
                ((f"min(zajil_store_up{{{_HERE}}})", ""),),
                "stat",
                width=4,
                height=4,
                steps=_GOOD_FROM_1,
            ),
            Panel(
                "Recipients waiting",
                ((_now("zajil_queue_recipients", _WAITING), ""),),
                "stat",
                width=4,
                height=4,
                steps=((None, "green"), (1000, "orange")),
            ),
            Panel(
                "Oldest waiting",
                ((_now("zajil_queue_oldest_age_seconds", _WAITING), ""),),
                "stat",
                "s",
                4,
                4,
                ((None, "green"), (4 * 3600, "orange"), (_DAY, "red")),
            ),
            Panel(
                "Accounts held",
                ((_now("zajil_accounts_held"), ""),),
                "stat",
                width=4,
                height=4,
                steps=_BAD_FROM_1,
            ),
            Panel(
                "Next end of a certificate",
                ((f"min({_END}{{{_HERE}}} - time())", ""),),
                "stat",
                "s",
                4,
                4,
                ((None, "red"), (2 * _DAY, "orange"), (14 * _DAY, "green")),
            ),
        ),
    ),
    (
        "Mail",
        (
            Panel(
                "Accepted, by service",
                ((_rate("zajil_mails_accepted_total", "service"), "{{service}}"),),
            ),
            Panel(
                "Refused, by status",
                (
                    (_rate("zajil_mails_refused_total", "status"), "mail {{status}}"),
                    (_rate("zajil_recipients_refused_total", "status"), "RCPT {{status}}"),
                ),
            ),
            Panel("Verdicts", ((_rate("zajil_verdicts_total", "verdict"), "{{verdict}}"),)),
            Panel(
                "DMARC, DKIM, SPF",
                (
                    (
                        _rate(
                            "zajil_check_results_total",
                            "check, result",
                            ',check=~"dmarc|dkim|spf"',
                        ),
                        "{{check}} {{result}}",
                    ),
                ),
            ),
            Panel(
                "Message size",
                (
                    (_quantile("zajil_message_size_bytes", 0.5), "half"),
                    (_quantile("zajil_message_size_bytes", 0.95), "95 %"),
                ),
                unit="bytes",
            ),
            Panel(
                "Copies filed, notifications sent",
                (
                    (_rate("zajil_copies_filed_total", "instance"), "filed {{instance}}"),
                    (
                        _rate("zajil_delivery_notifications_total", "instance"),
                        "notifications {{instance}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "Delivery",
        (
            Panel("Results", ((_rate("zajil_deliveries_total", "result"), "{{result}}"),)),
            Panel(
                "Time until delivery",
                (
                    (_quantile("zajil_delivery_seconds", 0.5), "half"),
                    (_quantile("zajil_delivery_seconds", 0.95), "95 %"),
                ),
                unit="s",
            ),
            Panel(
                "Queue",
                ((_now("zajil_queue_recipients", by="state"), "{{state}}"),),
            ),
            Panel("Attempts by TLS", ((_rate("zajil_delivery_attempts_total", "tls"), "{{tls}}"),)),
            Panel("DNS queries", ((_rate("zajil_dns_queries_total", "outcome"), "{{outcome}}"),)),
            Panel("Traces", ((_rate("zajil_trace_spans_total", "result"), "spans {{result}}"),)),
        ),
    ),
    (
        "Clients",
        (
            Panel(
                "Open sessions",
                ((f"sum by (service) (zajil_sessions{{{_HERE}}})", "{{service}}"),),
            ),
            Panel(
                "Connections",
                (
                    (_rate("zajil_connections_total", "service"), "{{service}}"),
                    (_rate("zajil_connections_refused_total", "reason"), "refused: {{reason}}"),
                ),
            ),
            Panel(
                "Log-ins",
                ((_rate("zajil_logins_total", "service, result"), "{{service}} {{result}}"),),
            ),
        ),
    ),
    (
        "Machine",
        (
            Panel(
                "Disk of the data folder",
                (
                    (f"zajil_disk_free_bytes{{{_HERE}}}", "free {{instance}}"),
                    (f"zajil_disk_reserve_bytes{{{_HERE}}}", "reserve {{instance}}"),
                ),
                unit="bytes",
            ),
            Panel("Database", ((_now("zajil_database_size_bytes"), "size"),), unit="bytes"),
            Panel(
                "Commits",
                (
                    (_rate("zajil_store_commit_seconds_count", "instance"), "{{instance}}"),
                    (_rate("zajil_store_errors_total", "reason"), "errors: {{reason}}"),
                ),
            ),
            Panel(
                "Duration of a commit",
                (
                    (_quantile("zajil_store_commit_seconds", 0.5), "half"),
                    (_quantile("zajil_store_commit_seconds", 0.99), "99 %"),
                ),
                unit="s",
            ),
            Panel(
                "Units of work in one commit",
                (
                    (_quantile("zajil_store_commit_units", 0.5), "half"),
                    (_quantile("zajil_store_commit_units", 0.95), "95 %"),
                ),
            ),
            Panel(
                "Conditions that need an operator",
                ((_now("zajil_alerts", by="kind"), "{{kind}}"),),
            ),
            Panel(
                "Faults, ended workers",
                (
                    (_rate("zajil_faults_total", "instance"), "faults {{instance}}"),
                    (_rate("zajil_worker_deaths_total", "instance"), "workers {{instance}}"),
                ),
            ),
        ),
    ),
)


def make_board() -> dict[str, Any]:
    """Return the board as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    x = y = tallest = 0
    for title, row in ROWS:
        x, y, tallest = 0, y + tallest, 0
        panels.append(_row(title, len(panels) + 1, y))
        y += 1
        for panel in row:
            if x + panel.width > 24:
                x, y, tallest = 0, y + tallest, 0
            panels.append(_panel(panel, len(panels) + 1, x, y))
            x += panel.width
            tallest = max(tallest, panel.height)
    return {
        "annotations": {"list": []},
        "description": "The mail server Zajil: mail, queue, clients and machine.",
        "editable": True,
        "graphTooltip": 1,
        "id": None,
        "links": [],
        "panels": panels,
        "refresh": "1m",
        "schemaVersion": _SCHEMA,
        "tags": ["mail", "zajil"],
        "templating": {"list": [_source_variable(), _instance_variable()]},
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": "Zajil",
        "uid": "zajil-mail",
        "version": 1,
        "weekStart": "",
    }


def _row(title: str, number: int, y: int) -> dict[str, Any]:
    place = {"h": 1, "w": 24, "x": 0, "y": y}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.steps:
        steps = [{"value": value, "color": color} for value, color in panel.steps]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    options: dict[str, Any] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if panel.kind == "stat":
        calculation = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        options = {"reduceOptions": calculation, "colorMode": "value", "graphMode": "area"}
    else:
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never"}
        defaults["min"] = 0
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "options": options,
        "targets": [
            {
                "datasource": _SOURCE,
                "editorMode": "code",
                "expr": expression,
                "legendFormat": legend or "__auto",
                "range": True,
                "refId": chr(ord("A") + place),
            }
            for place, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _source_variable() -> dict[str, Any]:
    return {
        "name": "source",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
    }


def _instance_variable() -> dict[str, Any]:
    query = "label_values(zajil_build_info, instance)"
    return {
        "name": "instance",
        "label": "Server",
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "instances"},
        "current": {},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "options": [],
        "refresh": 2,
        "sort": 1,
    }


def board_text() -> str:
    """Return the contents of the file."""
    return json.dumps(make_board(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    BOARD.write_text(board_text(), "utf-8")
