"""``/account/activity``: who changed something, who opened a mailbox, and the last log-in."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.store.engine.reader import Snapshot
from zajil.store.people.audit import AuditQuery, find_audit
from zajil.store.people.last_logins import LastLogin, load_last_logins
from zajil.tracking.audit import AuditEvent, JourneyOpened, MailboxOpened
from zajil.tracking.audit_sentences import describe_actor, describe_change
from zajil.tracking.sentences import Sentence
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor

_OPENINGS = (MailboxOpened, JourneyOpened)
_MOST = 100
"""Changes, and openings of mailboxes, that are shown."""
_MOST_READ = 4 * _MOST
"""Events that are looked at: those who open mailboxes daily must not push changes out."""


class ActivityPages(AccountPages):
    """The tab "Activity"."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the newest events about the account, whoever caused them."""

        def load(conn: Snapshot) -> tuple[list[AuditEvent], LastLogin | None]:
            # Security: by the id only; a subject may be the name of an earlier account.
            query = AuditQuery(account_id=account.account_id, limit=_MOST_READ)
            last = load_last_logins(conn, account.account_id).get(account.account_id)
            return find_audit(conn, query), last

        events, last = await self._context.read(load)
        openings = [event for event in events if isinstance(event, _OPENINGS)]
        changes = [event for event in events if not isinstance(event, _OPENINGS)]
        return self.render(
            request,
            visitor,
            "account_activity.html",
            account=account,
            rows=_tell(changes[:_MOST]),
            openings=_tell(openings[:_MOST]),
            last=last,
        )


def _tell(events: Sequence[AuditEvent]) -> list[tuple[AuditEvent, Sentence, Sentence]]:
    return [(event, describe_change(event), describe_actor(event)) for event in events]
