"""``/admin/reports``: what other servers report about mail in the name of our domains (DMARC)."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.domain import BadDomain, to_ascii
from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.dmarc_overview import DAY_MS, load_dmarc, load_one
from zajil.reports.dmarc.report import AggregateReport
from zajil.web.admin.charts import Series, draw_lines, scale_top
from zajil.web.page import Pages, Visitor

_DAYS = (7, 30, 90)
_MOST_LISTED = 100
_MOST_ROWS = 500


class ReportPages:
    """The sum of all reports, and each of them."""

    def __init__(self, pages: Pages, operations: OperationContext) -> None:
        self._pages = pages
        self._operations = operations

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show a chart, the sources, those that fail most first, and the reports."""
        asked = request.query_params.get("domain", "").strip()[:253]
        chosen = request.query_params.get("days", "")
        days = int(chosen) if chosen in map(str, _DAYS) else 30
        try:
            domain = to_ascii(asked) if asked else None
        except BadDomain:
            domain = asked
        proven_only = request.query_params.get("all") != "1"
        now_ms = self._operations.clock.now_ms()
        found = await self._operations.read_late(
            lambda conn: load_dmarc(conn, domain, days, now_ms, proven_only=proven_only)
        )
        chart = draw_lines(
            visitor.language.gettext("Messages that passed and failed DMARC"),
            [Series("one", found.passed), Series("bad", found.failed)],
            mirrored=visitor.language.direction == "rtl",
        )
        by_day = [
            (found.begin_ms + at * DAY_MS, passed, failed)
            for at, (passed, failed) in enumerate(zip(found.passed, found.failed, strict=True))
            if passed or failed
        ]
        return self._pages.render(
            visitor,
            "admin/reports.html",
            found=found,
            reports=found.reports[:_MOST_LISTED],
            chart=chart,
            top=scale_top(max(*found.passed, *found.failed)),
            by_day=by_day,
            domain=asked,
            days=days,
            choices=_DAYS,
            shows_all=not proven_only,
        )

    async def show_one(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show one report."""
        number = request.path_params["number"]
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise HTTPException(404)
        stored, report = await self._operations.read(lambda conn: load_one(conn, int(number)))
        return self._pages.render(
            visitor,
            "admin/report.html",
            stored=stored,
            rows=report.rows[:_MOST_ROWS] if isinstance(report, AggregateReport) else (),
            policy=report.policy if isinstance(report, AggregateReport) else None,
            header="" if isinstance(report, AggregateReport) else report.header,
        )
