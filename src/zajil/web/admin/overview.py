"""``/admin``: which domains and accounts there are."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.store.mail.room import list_usage
from zajil.store.people.accounts import list_accounts
from zajil.store.people.aliases import list_aliases
from zajil.store.people.domains import list_domains
from zajil.web.page import Pages, Visitor


class Overview:
    """Shows; changes are made on the command line for now."""

    def __init__(self, pages: Pages, store: Store) -> None:
        self._pages = pages
        self._store = store

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show domains, accounts and aliases."""
        caps = self._store.caps
        domains, accounts, aliases, usages = await self._store.read(
            lambda conn: (
                list_domains(conn),
                list_accounts(conn),
                list_aliases(conn),
                list_usage(conn, caps),
            )
        )
        return self._pages.render(
            visitor,
            "admin/overview.html",
            domains=domains,
            accounts=accounts,
            aliases=aliases,
            usages=usages,
        )
