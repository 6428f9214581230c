"""``/account/notifications``: which browsers are told of new mail, and how much they are told."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.operations.push import BadEndpoint, NewPush, add_browser, remove_browser
from zajil.operations.settings import change_settings
from zajil.read.push_sender import CHOICES
from zajil.read.web_push import BadPushKey, ServerKey
from zajil.store.engine.reader import Snapshot
from zajil.store.people.push_subscriptions import (
    SETTING,
    NamedBrowser,
    NoSuchBrowser,
    TooManyBrowsers,
    list_browsers,
    read_push_key,
)
from zajil.web.access import actor_of
from zajil.web.account.agents import browser_of, system_of
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor
from zajil.web.static_files import StaticFiles

PATH = "/account/notifications"
_WORKER = "push-worker.js"


class NotificationPages(AccountPages):
    """The tab "Notifications"."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the browsers, and what they are told."""
        return await self._show(request, visitor, account)

    async def change(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Add or remove a browser, or change what all of them are told."""
        form = await request.form()
        action, actor = form.get("action"), actor_of(request, account)
        if action == "add":
            new = NewPush(*[str(form.get(name, "")) for name in ("endpoint", "p256dh", "auth")])
            return await self._add(request, visitor, account, new)
        if action == "remove":
            try:
                await remove_browser(
                    self._context, actor, account.login, str(form.get("browser", ""))[:100]
                )
            except NoSuchBrowser:
                raise HTTPException(404) from None
            return self.after(PATH, "pushgone")
        choice = form.get("choice")
        if choice not in CHOICES or not isinstance(choice, str):
            raise HTTPException(400)
        value = choice if choice != CHOICES[0] else None
        await change_settings(self._context, actor, account.login, {SETTING: value})
        return self.after(PATH, "saved")

    async def _add(
        self, request: Request, visitor: Visitor, account: Account, new: NewPush
    ) -> Response:
        if visitor.session is None:
            raise HTTPException(400)
        actor, token_hash = actor_of(request, account), visitor.session.token_hash
        try:
            await add_browser(
                self._context, actor, account.login, token_hash, new, visitor.language.code
            )
        except (BadEndpoint, BadPushKey):
            return await self._show(request, visitor, account, 400, problem="failed")
        except TooManyBrowsers:
            return await self._show(request, visitor, account, 400, problem="many")
        return self.after(PATH, "pushadded")

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        status: int = 200,
        problem: str | None = None,
    ) -> Response:
        now_ms = self._parts.services.clock.now_ms()

        def load(conn: Snapshot) -> tuple[list[NamedBrowser], bytes]:
            return list_browsers(conn, account.account_id, now_ms), read_push_key(conn)

        browsers, seed = await self._context.read(load)
        chosen = visitor.settings.get(SETTING, "")
        return self.render(
            request,
            visitor,
            "account_notifications.html",
            status,
            browsers=[(one, browser_of(one.agent), system_of(one.agent)) for one in browsers],
            key=ServerKey(seed).public,
            chosen=chosen if chosen in CHOICES else CHOICES[0],
            problem=problem,
        )


class PushWorker:
    """``/push-worker.js``: a service worker controls the pages below its address, so it is here."""

    def __init__(self, static: StaticFiles) -> None:
        self._static = static

    async def show(self, request: Request) -> Response:
        """Serve it; browsers look for a new one now and then."""
        content, media_type = self._static.content(_WORKER)
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})
