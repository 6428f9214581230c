"""What a visitor likes: language and theme, kept in cookies of their browser."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.store.mail.room import load_usage
from zajil.web.language import Language
from zajil.web.page import THEMES, Pages, Visitor
from zajil.web.security import local_path

_A_YEAR_SECONDS = 365 * 86400


class Preferences:
    """``/preferences``, a form at the head of every page, and ``/account``."""

    def __init__(
        self, pages: Pages, languages: Mapping[str, Language], cookie_name: str, store: Store
    ) -> None:
        self._pages = pages
        self._store = store
        self._languages = languages
        self._cookie = cookie_name

    async def change(self, request: Request, visitor: Visitor) -> Response:
        """Keep a choice and go back to where it was made."""
        form = await request.form()
        response = RedirectResponse(local_path(form.get("next"), "/"), 303)
        for name, allowed in (("language", set(self._languages)), ("theme", {*THEMES, "auto"})):
            chosen = form.get(name)
            if isinstance(chosen, str) and chosen in allowed:
                # Scripts of ours read them, so they are not HttpOnly; they hold no secret.
                response.set_cookie(
                    f"{self._cookie}_{name}", chosen, max_age=_A_YEAR_SECONDS, samesite="lax"
                )
        return response

    async def show_account(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show who one is here, and how much of the quota is used."""
        caps, account_id = self._store.caps, account.account_id
        usage = await self._store.read(lambda conn: load_usage(conn, caps, account_id))
        return self._pages.render(visitor, "account.html", account=account, usage=usage)
