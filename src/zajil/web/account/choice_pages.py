"""``/account/language``, ``/account/mail`` and ``/account/signature``: choices of the owner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.operations.settings import change_settings
from zajil.store.people.settings import BadSetting
from zajil.web.access import actor_of
from zajil.web.account.frame import AccountPages
from zajil.web.account.preferences import keep_written
from zajil.web.account.zones import list_zones
from zajil.web.choices import LONGEST_SIGNATURE, OFFERED, is_zone, read_choices
from zajil.web.page import Visitor

_MAIL = ("density", "conversations", "view", "receipts", "undo_seconds")
_LANGUAGE = ("digits", "calendar")


class ChoicePages(AccountPages):
    """Forms whose fields are settings of the account."""

    async def show_language(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the language, the time zone, the digits and the calendar."""
        zones = list_zones(visitor.language.locale)
        return self.render(request, visitor, "account_language.html", zones=zones)

    async def change_language(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Keep them; an empty language or zone is what the browser says."""
        form = await request.form()
        language, zone = str(form.get("language", "")), str(form.get("zone", ""))
        if (language and language not in self._parts.languages) or (zone and not is_zone(zone)):
            raise HTTPException(400)
        values = {"language": language or None, "zone": zone or None}
        written = _chosen(form, _LANGUAGE)
        await self._keep(request, account, {**values, **written})
        response = self.after("/account/language", "saved")
        named = {name: value or "" for name, value in written.items()}
        settings = {**visitor.settings, **named}
        keep_written(response, self._parts.services.options.cookie_name, read_choices(settings))
        return response

    async def show_mail(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show how lists and messages look, and how long a message can be taken back."""
        return self.render(request, visitor, "account_mail.html")

    async def change_mail(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Keep it."""
        await self._keep(request, account, _chosen(await request.form(), (*_MAIL, "write")))
        return self.after("/account/mail", "saved")

    async def show_signature(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Show the signature of the account, and those of its addresses."""
        return self.render(
            request, visitor, "account_signature.html", account=account, longest=LONGEST_SIGNATURE
        )

    async def change_signature(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Keep them; an address whose field is empty has the signature of the account."""
        form = await request.form()
        common = _clean(form.get("signature"))
        keys = [one.key for one in account.addresses]
        typed = {key: _clean(form.get(f"signature_{at}")) for at, key in enumerate(keys)}
        own = {key: text for key, text in typed.items() if text}
        values = {
            "signature": common or None,
            "signatures": json.dumps(own, ensure_ascii=False) if own else None,
        }
        try:
            if any(len(text) > LONGEST_SIGNATURE for text in (common, *own.values())):
                raise BadSetting("a signature is too long")
            await self._keep(request, account, values)
        except BadSetting:
            choices = replace(visitor.choices, signature=common, signatures=own)
            visitor = replace(visitor, choices=choices)
            return self.render(
                request,
                visitor,
                "account_signature.html",
                400,
                account=account,
                longest=LONGEST_SIGNATURE,
                problem="long",
            )
        return self.after("/account/signature", "saved")

    async def _keep(
        self, request: Request, account: Account, values: Mapping[str, str | None]
    ) -> None:
        await change_settings(self._context, actor_of(request, account), account.login, values)


def _chosen(form: Mapping[str, object], names: tuple[str, ...]) -> dict[str, str | None]:
    """Return the fields of a form that are offered; what is not sent is not changed.

    Raises:
        HTTPException: a value that no form of ours sends.
    """
    values: dict[str, str | None] = {}
    for name in names:
        value = form.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or value not in OFFERED[name]:
            raise HTTPException(400)
        values[name] = value if value != OFFERED[name][0] else None
    return values


def _clean(text: object) -> str:
    """Return a signature with LF at the ends of its lines, and none around it."""
    lines = str(text or "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")
