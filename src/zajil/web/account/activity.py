"""``/account/activity``: who changed something of the account, and the last log-in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.store.engine.reader import Snapshot
from zajil.store.people.audit import AuditQuery, find_audit
from zajil.store.people.last_logins import LastLogin, load_last_logins
from zajil.tracking.audit import AuditEvent
from zajil.tracking.audit_sentences import describe_actor, describe_change
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor

_MOST = 100


class ActivityPages(AccountPages):
    """The tab "Activity"."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the newest events about the account, whoever caused them."""

        def load(conn: Snapshot) -> tuple[list[AuditEvent], LastLogin | None]:
            # Security: by the id only; a subject may be the name of an earlier account.
            query = AuditQuery(account_id=account.account_id, limit=_MOST)
            last = load_last_logins(conn, account.account_id).get(account.account_id)
            return find_audit(conn, query), last

        events, last = await self._context.read(load)
        rows = [(event, describe_change(event), describe_actor(event)) for event in events]
        return self.render(
            request, visitor, "account_activity.html", account=account, rows=rows, last=last
        )
