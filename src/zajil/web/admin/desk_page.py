"""What the pages of the administration have in common that show something and change it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor


def administers(visitor: Visitor, domain: str) -> bool:
    """Whether a page may show a visitor what belongs to a domain (ASCII form)."""
    account = visitor.account
    return account is not None and (account.admin or domain in account.domains)


class DeskPage(ABC):
    """A page whose forms lead back to it, with a notice of what was done."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the page, and say what the form before it did."""
        response = await self._render(request, visitor, done=self._notices.read(request))
        self._notices.forget(response)
        return response

    def _back(self, path: str, action: str) -> Response:
        """Return the redirect to a page that says that ``action`` was done."""
        response = RedirectResponse(path, 303)
        self._notices.leave(response, Done(action, 1))
        return response

    @abstractmethod
    async def _render(
        self, request: Request, visitor: Visitor, status: int = 200, **context: object
    ) -> Response:
        """Return the page; ``context``: what only some answers have."""
