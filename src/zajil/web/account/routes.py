"""The addresses of log-in and of the account."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from zajil.web.account.app_passwords import AppPasswordPages
from zajil.web.account.login import LoginPages
from zajil.web.account.preferences import Preferences
from zajil.web.parts import WebParts


def account_routes(parts: WebParts) -> list[BaseRoute]:
    """Return a line for each address."""
    anyone, members = parts.access.anyone, parts.access.members
    cookie_name = parts.services.options.cookie_name
    login = LoginPages(parts.pages, parts.sessions, parts.services.login)
    preferences = Preferences(parts.pages, parts.languages, cookie_name, parts.store)
    app_passwords = AppPasswordPages(parts.pages, parts.operations, parts.notices)
    return [
        Route("/login", anyone(login.show), methods=["GET"]),
        Route("/login", anyone(login.log_in), methods=["POST"]),
        Route("/logout", members(login.log_out), methods=["POST"]),
        Route("/preferences", anyone(preferences.change), methods=["POST"]),
        Route("/account", members(preferences.show_account), methods=["GET"]),
        Route("/account/app-passwords", members(app_passwords.show), methods=["GET"]),
        Route("/account/app-passwords", members(app_passwords.act), methods=["POST"]),
    ]
