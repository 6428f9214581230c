"""A site with two domains and three accounts, and a browser without JavaScript that visits it."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from html import unescape
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher

from kit.clock import FakeClock
from kit.store import NOW_MS, make_intake, running
from kit.talk import acceptance_context
from kit.zone import Zone, ZoneResolver
from zajil.config.options import Configuration, LimitOptions
from zajil.config.options_server import ServerOptions
from zajil.config.options_sign_on import SignOnOptions
from zajil.config.options_users import LoginOptions, WebOptions
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId, MailId
from zajil.core.service import Service
from zajil.dns.flow import Resolve
from zajil.login.service import LoginService
from zajil.login.sign_on.provider import OpenIdProvider
from zajil.mailauth.mark_certificate import MarkRoots
from zajil.net.peer import Networks
from zajil.operations.mail_servers import MailServer
from zajil.read.guarded_fetch import GuardedFetcher
from zajil.read.sender_logos import LogoFinder
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import NewAccount, create_account
from zajil.store.people.directory import look_up
from zajil.store.people.domains import DomainRow, create_domain
from zajil.store.people.settings import NewSettings, set_settings
from zajil.web.app import make_web
from zajil.web.own_names import OwnNames
from zajil.web.services import WebServices

PASSWORD = "a pigeon's password"
PEOPLE = {
    "amal": ("amal@north.test", "Amal Haddad", True),
    "basim": ("basim@north.test", "Basim", False),
    "salma": ("سلمى@زاجل.test", "سلمى الخطيب", False),
}
_HASH = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, with what tests look for."""

    response: httpx.Response

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self.response.status_code

    @property
    def text(self) -> str:
        """Return the page."""
        return self.response.text

    @property
    def location(self) -> str:
        """Return where a redirect leads."""
        return self.response.headers["location"]

    def field(self, name: str) -> str:
        """Return the value of a form's field."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, f"no field {name}"
        return unescape(found[1])


class Browser:
    """Keeps cookies, and sends the token of the page it has just seen with each form."""

    def __init__(self, application: Any, base_url: str, headers: dict[str, str]) -> None:
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(application),
            base_url=base_url,
            headers=headers,
        )
        self.csrf = ""

    @property
    def cookies(self) -> httpx.Cookies:
        """Return what the site asked to be kept."""
        return self._client.cookies

    async def get(self, path: str, **headers: str) -> Page:
        """Open a page, and note the token of its forms."""
        page = Page(await self._client.get(path, headers=headers))
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
        self.csrf = found[1] if found else self.csrf
        return page

    async def post(
        self, path: str, send_headers: dict[str, str] | None = None, **data: Any
    ) -> Page:
        """Send a form, with the token unless ``csrf`` is given."""
        form = {"csrf": self.csrf, **data}
        return Page(await self._client.post(path, data=form, headers=send_headers))

    async def upload(
        self,
        path: str,
        *files: tuple[str, bytes, str],
        csrf: str | None = None,
        files_field: str = "attach",
        **data: Any,
    ) -> Page:
        """Send a form that takes files: each has a name, bytes and a type."""
        parts = [(files_field, file) for file in files] or [("attach", ("", b"", ""))]
        form = {"csrf": self.csrf if csrf is None else csrf, **data}
        return Page(await self._client.post(path, data=form, files=parts))

    async def log_in(self, login: str, password: str = PASSWORD) -> Page:
        """Fill in the form; the answer is a redirect when it was right."""
        await self.get("/login")
        page = await self.post("/login", login=login, password=password, next="/mail")
        if page.status == 303:
            await self.get("/account")
        return page


@dataclass(frozen=True, slots=True)
class Site:
    """What a test acts on."""

    store: Store
    clock: FakeClock
    application: Any

    def browser(self, base_url: str = "http://mail.test", **headers: str) -> Browser:
        """Return a new browser without cookies, which always sends these header fields."""
        return Browser(self.application, base_url, headers)

    def entry(self, login: str) -> AccountEntry:
        """Return what the directory says of one of the people."""
        address = parse_address(PEOPLE[login][0])
        entry = self.store.read_now(lambda conn: look_up(conn, address)).entry
        assert isinstance(entry, AccountEntry)
        return entry

    def inbox(self, login: str) -> str:
        """Return the address of somebody's INBOX."""
        return f"/mail/{self.entry(login).inbox}"

    def deliver(self, login: str, message: EmailMessage | bytes) -> MailId:
        """Put a message into an INBOX as another server's mail."""
        raw = message if isinstance(message, bytes) else message.as_bytes()
        item = make_intake(self.store.blobs.stage([raw]), local=[self.entry(login)])
        return self.store.write_now(write_intakes, item)


@asynccontextmanager
async def visiting(
    store: Store,
    zone: Zone | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve | None = None,
    limits: LimitOptions | None = None,
    servers: tuple[MailServer, ...] = (),
    mark_roots: bytes | None = None,
    sign_on: SignOnOptions | None = None,
    login_options: LoginOptions | None = None,
    **options: Any,
) -> AsyncIterator[Site]:
    """Open the site over an empty store.

    Args:
        store: an empty one.
        zone: DNS of the hosts that messages name; others do not exist.
        tls: what this server trusts when it asks others; nobody if not given.
        resolve: answers the questions of the pages to DNS.
        limits: of the acceptance of mail.
        servers: what mail programs connect to.
        mark_roots: PEM of the certificates that confirm logos of senders; ``None``: no logos.
        sign_on: of ``[sign_on]``; ``None``: no provider vouches for people.
        login_options: of ``[login]``.
        options: of ``[web]``.
    """
    clock = FakeClock(NOW_MS)
    for domain in sorted({parse_address(address).domain for address, _, _ in PEOPLE.values()}):
        store.write_now(create_domain, DomainRow(domain, NOW_MS))
    for login, (address, name, admin) in PEOPLE.items():
        account_id = make_person(store, login, address, name, admin=admin)
        # No queue runs here: what is sent is delivered at once, unless a test wants to wait.
        store.write_now(set_settings, NewSettings(account_id, {"undo_seconds": "0"}))
    async with running(store):
        await store.directory.load()
        acceptance = acceptance_context(
            store, limits, service=Service.WEB, clock=clock, hostname="mx.north.test"
        )
        web = WebOptions(**options)
        login_service = LoginService(store, clock, os.urandom, free_failures=0)
        outside = GuardedFetcher(
            ZoneResolver(zone or {}).resolve,
            tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            Networks(web.private_networks),
        )
        logos = None
        if mark_roots is not None:
            resolver = ZoneResolver(zone or {})
            roots = MarkRoots(mark_roots)
            logos = LogoFinder(store, resolver.resolve, outside, roots, clock, seconds=60)
        provider = None
        if sign_on is not None:
            trust = ssl.create_default_context()
            provider = OpenIdProvider(sign_on, trust, clock, "http://mail.test/login/sso/back")
        services = WebServices(
            store=store,
            login=login_service,
            acceptance=acceptance,
            clock=clock,
            random=os.urandom,
            options=web,
            hostname="mx.north.test",
            configuration=Configuration(
                server=ServerOptions(hostname="mx.north.test", data_dir=Path("data")),
                sign_on=sign_on or SignOnOptions(),
                login=login_options or LoginOptions(),
                web=web if sign_on is None else WebOptions(url="http://mail.test/"),
            ),
            provider=provider,
            resolve=resolve,
            outside=outside,
            logos=logos,
            servers=servers,
            public_url=web.url,
            names=OwnNames(["mx.north.test"], store.directory.domains),
        )
        yield Site(store, clock, make_web(services))
        if provider is not None:
            await provider.close()


def make_person(
    store: Store, login: str, address: str, name: str, *, admin: bool = False
) -> AccountId:
    """Make an account whose password is ``PASSWORD``."""
    who = parse_address(address)
    new = NewAccount(login, who, name, _HASH, admin=admin, created_ms=NOW_MS)
    return store.write_now(create_account, new)


def letter(
    subject: str = "A subject",
    text: str = "Words.\n",
    html: str | None = None,
    sender: str = "Noor Saleh <noor@south.test>",
    to: str = "amal@north.test",
) -> EmailMessage:
    """Make a message of somebody elsewhere."""
    message = EmailMessage(policy=SMTP.clone(utf8=True))
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    # Each its own: messages with one Message-ID are one conversation.
    message["Message-ID"] = f"<{os.urandom(4).hex()}.rose@south.test>"
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message
