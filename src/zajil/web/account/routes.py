"""The addresses of log-in and of the account."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from zajil.web.account.app_passwords import AppPasswordPages
from zajil.web.account.choice_pages import ChoicePages
from zajil.web.account.login import LoginPages
from zajil.web.account.preferences import Preferences
from zajil.web.account.profile import ProfilePages
from zajil.web.account.security_page import SecurityPages
from zajil.web.parts import WebParts


def account_routes(parts: WebParts) -> list[BaseRoute]:
    """Return a line for each address."""
    anyone, members = parts.access.anyone, parts.access.members
    login = LoginPages(parts)
    preferences = Preferences(parts)
    profile, choices = ProfilePages(parts), ChoicePages(parts)
    security = SecurityPages(parts)
    app_passwords = AppPasswordPages(parts.pages, parts.operations, parts.notices)
    return [
        Route("/login", anyone(login.show), methods=["GET"]),
        Route("/login", anyone(login.log_in), methods=["POST"]),
        Route("/logout", members(login.log_out), methods=["POST"]),
        Route("/preferences", anyone(preferences.change), methods=["POST"]),
        Route("/account", members(profile.show), methods=["GET"]),
        Route("/account", members(profile.change), methods=["POST"]),
        Route("/account/language", members(choices.show_language), methods=["GET"]),
        Route("/account/language", members(choices.change_language), methods=["POST"]),
        Route("/account/mail", members(choices.show_mail), methods=["GET"]),
        Route("/account/mail", members(choices.change_mail), methods=["POST"]),
        Route("/account/signature", members(choices.show_signature), methods=["GET"]),
        Route("/account/signature", members(choices.change_signature), methods=["POST"]),
        Route("/account/security", members(security.show), methods=["GET"]),
        Route("/account/password", members(security.change_password), methods=["POST"]),
        Route("/account/sessions", members(security.end_sessions), methods=["POST"]),
        Route("/account/app-passwords", members(app_passwords.show), methods=["GET"]),
        Route("/account/app-passwords", members(app_passwords.act), methods=["POST"]),
    ]
