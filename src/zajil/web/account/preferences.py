"""``/preferences``: language and theme, a form at the head of every page.

Both are kept in cookies of the browser; of a visitor who is logged in the language is a setting of
the account as well.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.operations.settings import change_settings
from zajil.web.access import actor_of
from zajil.web.choices import Choices
from zajil.web.page import THEMES, Visitor
from zajil.web.parts import WebParts
from zajil.web.security import local_path

_A_YEAR_SECONDS = 365 * 86400


def keep_written(response: Response, cookie_name: str, choices: Choices) -> None:
    """Let a browser keep digits and calendar of an account, for its pages before a log-in."""
    for name, value in (("digits", choices.digits), ("calendar", choices.calendar)):
        response.set_cookie(
            f"{cookie_name}_{name}", value, max_age=_A_YEAR_SECONDS, httponly=True, samesite="lax"
        )


class Preferences:
    """What a visitor changes with one click."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._cookie = parts.services.options.cookie_name

    async def change(self, request: Request, visitor: Visitor) -> Response:
        """Keep a choice and go back to where it was made."""
        form = await request.form()
        response = RedirectResponse(local_path(form.get("next"), "/"), 303)
        languages = set(self._parts.languages)
        for name, allowed in (("language", languages), ("theme", {*THEMES, "auto"})):
            chosen = form.get(name)
            if isinstance(chosen, str) and chosen in allowed:
                # Scripts of ours read them, so they are not HttpOnly; they hold no secret.
                response.set_cookie(
                    f"{self._cookie}_{name}", chosen, max_age=_A_YEAR_SECONDS, samesite="lax"
                )
        language, account = form.get("language"), visitor.account
        if account is not None and isinstance(language, str) and language in languages:
            values = {"language": language}
            await change_settings(
                self._parts.operations, actor_of(request, account), account.login, values
            )
        return response
