"""``/admin``: the state of the server in one look."""

from __future__ import annotations

import asyncio

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from zajil.config.options import Configuration
from zajil.login.account import Account
from zajil.monitor.alert_texts import speak
from zajil.operations.alerts import show_alerts
from zajil.operations.context import OperationContext
from zajil.operations.nodes import show_nodes
from zajil.operations.overview import PERIODS, ServerState, load_machine, load_state
from zajil.tls.certificate import DAY_MS
from zajil.tracking.traffic import Figure
from zajil.web.admin.charts import Series, draw_lines, scale_top
from zajil.web.page import Pages, Visitor

_DEFAULT = "day"
_REFUSED = (Figure.CONNECTIONS_REFUSED, Figure.REFUSED)


class Overview:
    """Charts and figures of a period, the queue, the disk, the certificate, slowed networks, and
    the nodes that share the store.
    """

    def __init__(
        self, pages: Pages, operations: OperationContext, configuration: Configuration
    ) -> None:
        self._pages = pages
        self._operations = operations
        self._configuration = configuration

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the last hour, day or week."""
        chosen = request.query_params.get("period", _DEFAULT)
        chosen = chosen if chosen in PERIODS else _DEFAULT
        now_ms = self._operations.clock.now_ms()
        state = await self._operations.read_late(
            lambda conn: load_state(conn, PERIODS[chosen], now_ms)
        )
        alerts, nodes = await self._operations.read(
            lambda conn: (show_alerts(conn), show_nodes(conn))
        )
        data_dir = self._operations.store.data_dir
        machine = await asyncio.to_thread(load_machine, self._configuration, data_dir)
        certificate = machine.certificate
        return self._pages.render(
            visitor,
            "admin/overview.html",
            state=state,
            machine=machine,
            days_left=None
            if certificate is None
            else (certificate.not_after_ms - now_ms) // DAY_MS,
            figures=Figure,
            alerts=[
                (alert, speak(alert.condition, visitor.language, visitor.zone)) for alert in alerts
            ],
            nodes=nodes,
            periods=list(PERIODS),
            chosen=chosen,
            top=scale_top(max(_values(state, Figure.RECEIVED) + _values(state, Figure.SENT))),
            chart=_draw(visitor, state),
            rows=_rows(state, Figure.RECEIVED, Figure.SENT),
            refused_top=scale_top(max([max(_values(state, one)) for one in _REFUSED])),
            refused_chart=_draw_refused(visitor, state),
            refused_rows=_rows(state, *_REFUSED),
        )


def _draw(visitor: Visitor, state: ServerState) -> Markup:
    return draw_lines(
        visitor.language.gettext("Messages received and sent"),
        [
            Series("one", _values(state, Figure.RECEIVED)),
            Series("two", _values(state, Figure.SENT)),
        ],
        mirrored=visitor.language.direction == "rtl",
    )


def _draw_refused(visitor: Visitor, state: ServerState) -> Markup:
    return draw_lines(
        visitor.language.gettext("Refused"),
        [Series("one", _values(state, _REFUSED[0])), Series("bad", _values(state, _REFUSED[1]))],
        mirrored=visitor.language.direction == "rtl",
    )


def _values(state: ServerState, figure: Figure) -> list[int]:
    return state.counts.get(figure, [0])


def _rows(state: ServerState, one: Figure, other: Figure) -> list[tuple[int, int, int]]:
    """Return time and two figures of each step in which there was any, newest first."""
    first, second = state.counts.get(one, []), state.counts.get(other, [])
    steps = max(len(first), len(second))
    rows = [
        (
            state.begin_ms + at * state.step_ms,
            first[at] if first else 0,
            second[at] if second else 0,
        )
        for at in range(steps)
    ]
    return [row for row in reversed(rows) if row[1] or row[2]]
