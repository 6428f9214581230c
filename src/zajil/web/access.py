"""Who may come in: turns a request into a visitor, checks forms, sends strangers to the log-in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.actor import Actor, Interface
from zajil.core.password import NO_PASSWORD
from zajil.login.account import Account
from zajil.store.engine.errors import StoreError
from zajil.store.people.accounts import get_account
from zajil.store.people.second_factors import has_second_factor
from zajil.store.people.settings import get_settings
from zajil.web.body_limit import allow_body
from zajil.web.choices import read_choices
from zajil.web.language import Language, choose_language, choose_zone
from zajil.web.notices import Done, Notices
from zajil.web.page import THEMES, Visitor
from zajil.web.security import Sessions, is_own_request, is_same_site, local_path
from zajil.web.security import peer_of as peer_of
from zajil.web.services import WebServices
from zajil.web.uploads import read_upload_form

Endpoint = Callable[[Request], Awaitable[Response]]
ForAnyone = Callable[[Request, Visitor], Awaitable[Response]]
ForMembers = Callable[[Request, Visitor, Account], Awaitable[Response]]

_SETTING_UP = (
    "/account/security",
    "/account/password",
    "/account/totp",
    "/account/passkeys",
    "/account/recovery-codes",
    "/account/sessions",
)
"""Pages of an account that must set up its second step."""
_MOST_FIELDS = 2000
"""Fields of one form: a full page of marked mails and what stands around them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """What is different for a form that somebody may have written in for an hour."""

    most_bytes: int
    """Of its files together."""
    most_files: int
    most_fields: int
    without_session: ForAnyone
    """Asks for a log-in with a page that keeps what was written."""
    with_old_token: ForMembers
    """Shows what was written once more."""


class Access:
    """Wraps the handlers of pages; a handler behind it knows who asks."""

    def __init__(
        self, services: WebServices, sessions: Sessions, languages: Mapping[str, Language]
    ) -> None:
        self._services = services
        self._sessions = sessions
        self._languages = languages
        self._notices = Notices(services.options.cookie_name)
        self._cookie = services.options.cookie_name

    def anyone(self, handler: ForAnyone) -> Endpoint:
        """Let everybody in; forms still need their token."""

        async def endpoint(request: Request) -> Response:
            visitor = await self.visitor(request)
            await self._check_form(request, visitor)
            response = await handler(request, visitor)
            if visitor.session is None and self._cookie not in _set_cookies(response):
                self._sessions.keep_anonymous(response, visitor.csrf)
            return response

        return endpoint

    def members(self, handler: ForMembers, writes: Writes | None = None) -> Endpoint:
        """Let in who is logged in; others are asked to, and come back afterwards.

        Args:
            handler: answers.
            writes: the form is a letter, which is never lost; ``None``: it is an ordinary one.
        """

        async def endpoint(request: Request) -> Response:
            visitor = await self.visitor(request)
            if visitor.account is not None and await self._lacks_step(request, visitor.account):
                return self._send_to_security("second")
            if writes is not None and request.method == "POST":
                try:
                    return await self._take_letter(request, visitor, handler, writes)
                finally:
                    await request.close()  # the files that came
            if visitor.account is None:
                back = visitor.path if request.method == "GET" else "/"
                return RedirectResponse(f"/login?{urlencode({'next': back})}", 303)
            await self._check_form(request, visitor)
            return await handler(request, visitor, visitor.account)

        return endpoint

    async def _lacks_step(self, request: Request, account: Account) -> bool:
        """Whether the account must set up a second step before it sees this page."""
        if not self._services.configuration.login.second_step_required:
            return False
        path = request.url.path
        if path.startswith(_SETTING_UP) or path == "/logout" or await self._is_guarded(account):
            return False
        row = await self._services.store.read(lambda conn: get_account(conn, account.account_id))
        return row is None or row.password_hash != NO_PASSWORD

    def _send_to_security(self, notice: str) -> Response:
        response = RedirectResponse("/account/security", 303)
        self._notices.leave(response, Done(notice, 1))
        return response

    def members_with_file(self, handler: ForMembers) -> Endpoint:
        """Let in who is logged in, with a form that may bring one file, no larger than a form."""

        async def endpoint(request: Request) -> Response:
            visitor = await self.visitor(request)
            if visitor.account is None:
                return RedirectResponse("/login", 303)
            if await self._lacks_step(request, visitor.account):
                return self._send_to_security("second")
            try:
                await self._check_form(request, visitor, max_files=1)
                return await handler(request, visitor, visitor.account)
            finally:
                await request.close()

        return endpoint

    async def _take_letter(
        self, request: Request, visitor: Visitor, handler: ForMembers, writes: Writes
    ) -> Response:
        """Pass a letter on; without a session, or with the token of another one, it is kept."""
        if not is_same_site(request):
            raise HTTPException(403)
        has_files = request.headers.get("content-type", "").startswith("multipart/form-data")
        if visitor.account is None and not has_files:
            return RedirectResponse("/login?next=%2F", 303)
        if visitor.account is not None and has_files:
            allow_body(request, writes.most_bytes + self._services.options.form_size)
        try:
            form = await read_upload_form(
                request,
                self._services.store.blobs,
                max_files=writes.most_files,
                max_fields=writes.most_fields,
                max_part_size=self._services.options.form_size,
            )
        except HTTPException as error:
            is_long = "maximum size" in error.detail
            raise HTTPException(413 if is_long else error.status_code) from None
        if visitor.account is None:
            response = await writes.without_session(request, visitor)
            self._sessions.keep_anonymous(response, visitor.csrf)
            return response
        if not is_own_request(request, visitor.csrf, form.get("csrf")):
            # Security: nothing is done; what came is shown to whoever sends it.
            return await writes.with_old_token(request, visitor, visitor.account)
        return await handler(request, visitor, visitor.account)

    def admins(self, handler: ForMembers) -> Endpoint:
        """Let admins in; to others the page does not exist."""

        return self._guarded(handler, lambda account: account.admin)

    def domain_admins(self, handler: ForMembers) -> Endpoint:
        """Let in admins of the server and of a domain; the handler shows what is theirs."""
        return self._guarded(handler, lambda account: account.admin or bool(account.domains))

    def _guarded(self, handler: ForMembers, may_enter: Callable[[Account], bool]) -> Endpoint:
        async def for_admin(request: Request, visitor: Visitor, account: Account) -> Response:
            if not may_enter(account):
                raise HTTPException(404)
            if self._services.options.admins_need_second_factor and not await self._is_guarded(
                account
            ):
                return self._send_to_security("needed")
            return await handler(request, visitor, account)

        return self.members(for_admin)

    async def _is_guarded(self, account: Account) -> bool:
        return await self._services.store.read(
            lambda conn: has_second_factor(conn, account.account_id)
        )

    async def visitor(self, request: Request) -> Visitor:
        """Return who asks, in which language, in which light."""
        visitor = self.stranger(request)
        session = await self._sessions.find(request)
        account = await self._services.login.find(session.account_id) if session else None
        if session is None or account is None:
            return replace(visitor, csrf=self._sessions.anonymous_token(request))
        settings = await self._services.store.read(
            lambda conn: get_settings(conn, account.account_id)
        )
        return replace(
            _as_chosen(request, visitor, self._languages, settings),
            csrf=session.csrf,
            account=account,
            session=session,
        )

    async def visitor_of_error(self, request: Request, status: int) -> Visitor:
        """Return who asked for what is not there; a page about a fault does not ask the store."""
        if status < 500:
            with suppress(StoreError):
                return await self.visitor(request)
        return self.stranger(request)

    def stranger(self, request: Request) -> Visitor:
        """Return what a request tells without the store: for a page that says the store is away."""
        cookies, query = request.cookies, request.url.query
        theme = cookies.get(f"{self._cookie}_theme", "")
        language = choose_language(
            self._languages,
            cookies.get(f"{self._cookie}_language"),
            request.headers.get("accept-language", ""),
        )
        return Visitor(
            language=language.written(
                cookies.get(f"{self._cookie}_digits", ""),
                cookies.get(f"{self._cookie}_calendar", ""),
            ),
            zone=choose_zone(cookies.get(f"{self._cookie}_zone")),
            theme=theme if theme in THEMES else "",
            path=local_path(request.url.path + (f"?{query}" if query else ""), "/"),
            has_zone=f"{self._cookie}_zone" in cookies,
        )

    async def _check_form(self, request: Request, visitor: Visitor, max_files: int = 0) -> None:
        if request.method in ("GET", "HEAD"):
            return
        form = await request.form(
            max_files=max_files,
            max_fields=_MOST_FIELDS,
            max_part_size=self._services.options.form_size,
        )
        if not is_own_request(request, visitor.csrf, form.get("csrf")):
            raise HTTPException(403)


def _as_chosen(
    request: Request,
    visitor: Visitor,
    languages: Mapping[str, Language],
    settings: Mapping[str, str],
) -> Visitor:
    """Return a visitor as the account chose: it decides before the cookies of a browser."""
    choices = read_choices(settings)
    visitor = replace(visitor, choices=choices, settings=settings)
    if choices.language in languages:
        header = request.headers.get("accept-language", "")
        visitor = replace(visitor, language=choose_language(languages, choices.language, header))
    written = visitor.language.written(choices.digits, choices.calendar)
    visitor = replace(visitor, language=written)
    if choices.zone:
        visitor = replace(visitor, zone=choose_zone(choices.zone), has_zone=True)
    return visitor


def actor_of(request: Request, account: Account) -> Actor:
    """Return the actor of operations that a page runs."""
    return Actor(
        account.login,
        Interface.WEB,
        peer_of(request),
        account_id=account.account_id,
        is_admin=account.admin,
        domains=account.domains,
    )


def _set_cookies(response: Response) -> set[str]:
    return {value.partition("=")[0] for value in response.headers.getlist("set-cookie")}
