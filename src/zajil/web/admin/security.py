"""``/admin/security``: failed log-ins, slowed networks, refused connections, internal errors."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.login.throttle import WINDOW_MS
from zajil.operations.journey import find_sessions
from zajil.operations.login_throttle import release_network
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.refusals import FoundFault, find_faults
from zajil.store.people.login_failures import SlowedNetwork, slowed_networks
from zajil.web.access import actor_of
from zajil.web.admin.desk_page import DeskPage
from zajil.web.admin.problems import Problem, attempt
from zajil.web.page import Visitor

_MOST_NETWORKS = 100
_MOST_SESSIONS = 50
_MOST_FAULTS = 20
_WEEK_MS = 7 * 86_400_000
_LONGEST = 320


class ConnectionPages(DeskPage):
    """Networks whose log-ins are slowed, and what was refused without a mail."""

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Release a network."""
        network = (await request.form()).get("network")
        if not isinstance(network, str):
            raise HTTPException(400)
        actor = actor_of(request, account)
        done = await attempt(release_network(self._operations, actor, network[:_LONGEST]))
        if isinstance(done, Problem):
            return await self._render(request, visitor, 409, problem=done)
        return self._back("/admin/security", "network")

    async def _render(
        self, request: Request, visitor: Visitor, status: int = 200, **context: object
    ) -> Response:
        q = request.query_params.get("q", "").strip()[:_LONGEST]
        now_ms = self._operations.clock.now_ms()
        since_ms, week_ms = now_ms - WINDOW_MS, now_ms - _WEEK_MS

        def load(
            conn: Snapshot,
        ) -> tuple[list[SlowedNetwork], dict[str, Any], list[FoundFault]]:
            slowed = slowed_networks(conn, since_ms, _MOST_NETWORKS)
            found = find_sessions(conn, text=q or None, limit=_MOST_SESSIONS)
            return slowed, found, find_faults(conn, week_ms, _MOST_FAULTS)

        slowed, found, faults = await self._operations.read(load)
        shown = {"done": None, "problem": None, **context}
        return self._pages.render(
            visitor,
            "admin/security.html",
            status,
            slowed=slowed,
            sessions=found["sessions"],
            faults=faults,
            q=q,
            **shown,
        )
