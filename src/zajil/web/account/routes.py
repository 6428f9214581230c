"""The addresses of log-in and of the account."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from zajil.login.second_step import SecondStep
from zajil.web.account.activity import ActivityPages
from zajil.web.account.app_passwords import AppPasswordPages
from zajil.web.account.choice_pages import ChoicePages
from zajil.web.account.delegation_pages import DelegationPages
from zajil.web.account.devices import DevicePages
from zajil.web.account.export import ExportPages
from zajil.web.account.factor_pages import FactorPages
from zajil.web.account.login import LoginPages
from zajil.web.account.notification_pages import NotificationPages, PushWorker
from zajil.web.account.preferences import Preferences
from zajil.web.account.profile import ProfilePages
from zajil.web.account.second_step import SecondStepPages
from zajil.web.account.security_page import SecurityPages
from zajil.web.account.template_pages import TemplatePages
from zajil.web.parts import WebParts


def account_routes(parts: WebParts) -> list[BaseRoute]:
    """Return a line for each address."""
    anyone, members = parts.access.anyone, parts.access.members
    services = parts.services
    second = SecondStep(parts.store, services.clock, services.random, services.login)
    steps, security = SecondStepPages(parts, second), SecurityPages(parts, second)
    factors = FactorPages(parts, second, security.refuse)
    login = LoginPages(parts, steps)
    preferences = Preferences(parts)
    profile = ProfilePages(parts)
    app_passwords = AppPasswordPages(parts)
    devices, activity = DevicePages(parts), ActivityPages(parts)
    notifications = NotificationPages(parts)
    export, sharing = ExportPages(parts), DelegationPages(parts)
    return [
        Route("/login", anyone(login.show), methods=["GET"]),
        Route("/login", anyone(login.log_in), methods=["POST"]),
        Route("/login/code", anyone(steps.show), methods=["GET"]),
        Route("/login/code", anyone(steps.check), methods=["POST"]),
        Route("/login/passkey", anyone(steps.passkey_alone), methods=["POST"]),
        *_sign_on_routes(parts, steps, login),
        Route("/logout", members(login.log_out), methods=["POST"]),
        Route("/preferences", anyone(preferences.change), methods=["POST"]),
        Route("/account", members(profile.show), methods=["GET"]),
        Route("/account", members(profile.change), methods=["POST"]),
        *_choice_routes(parts),
        Route("/account/security", members(security.show), methods=["GET"]),
        Route("/account/password", members(security.change_password), methods=["POST"]),
        Route("/account/sessions", members(security.end_sessions), methods=["POST"]),
        Route("/account/totp", members(factors.show_totp), methods=["GET"]),
        Route("/account/totp", members(factors.change_totp), methods=["POST"]),
        Route("/account/recovery-codes", members(factors.renew_codes), methods=["POST"]),
        Route("/account/passkeys", members(factors.show_passkey), methods=["GET"]),
        Route("/account/passkeys", members(factors.change_passkeys), methods=["POST"]),
        Route("/account/devices", members(devices.show), methods=["GET"]),
        Route("/account/devices/mail.mobileconfig", members(devices.profile), methods=["GET"]),
        Route("/account/notifications", members(notifications.show), methods=["GET"]),
        Route("/account/notifications", members(notifications.change), methods=["POST"]),
        Route("/push-worker.js", PushWorker(parts.static).show, methods=["GET"]),
        Route("/account/activity", members(activity.show), methods=["GET"]),
        Route("/account/export", members(export.show), methods=["GET"]),
        Route("/account/export.zip", members(export.download), methods=["GET"]),
        Route("/account/sharing", members(sharing.show), methods=["GET"]),
        Route("/account/sharing", members(sharing.act), methods=["POST"]),
        Route("/account/app-passwords", members(app_passwords.show), methods=["GET"]),
        Route("/account/app-passwords", members(app_passwords.act), methods=["POST"]),
    ]


def _sign_on_routes(parts: WebParts, steps: SecondStepPages, login: LoginPages) -> list[BaseRoute]:
    provider = parts.services.provider
    if provider is None:
        return []
    # Imported here, because it takes httpx, and few servers have a provider.
    from zajil.web.account.sign_on import SignOnPages

    pages, anyone = SignOnPages(parts, steps, provider, login.show_problem), parts.access.anyone
    return [
        Route("/login/sso", anyone(pages.begin), methods=["GET"]),
        Route("/login/sso/back", anyone(pages.back), methods=["GET"]),
        Route("/login/sso/out", anyone(pages.log_out), methods=["GET"]),
    ]


def _choice_routes(parts: WebParts) -> list[BaseRoute]:
    members = parts.access.members
    choices, templates = ChoicePages(parts), TemplatePages(parts)
    return [
        Route("/account/language", members(choices.show_language), methods=["GET"]),
        Route("/account/language", members(choices.change_language), methods=["POST"]),
        Route("/account/mail", members(choices.show_mail), methods=["GET"]),
        Route("/account/mail", members(choices.change_mail), methods=["POST"]),
        Route("/account/signature", members(choices.show_signature), methods=["GET"]),
        Route("/account/signature", members(choices.change_signature), methods=["POST"]),
        Route("/account/templates", members(templates.show), methods=["GET"]),
        Route("/account/templates", members(templates.act), methods=["POST"]),
    ]
