"""The addresses where mail programs look for their settings; anyone may ask, without a log-in."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.domain import BadDomain
from zajil.web.client_settings.apple_profile import (
    PROFILE_TYPE,
    make_profile,
    sign_profile,
)
from zajil.web.client_settings.autoconfig import make_autoconfig
from zajil.web.client_settings.autodiscover import (
    MAX_REQUEST,
    AutodiscoverError,
    BadRequest,
    make_error,
    make_json,
    make_settings,
    read_request,
)
from zajil.web.own_names import host_of
from zajil.web.services import WebServices

AUTOCONFIG_PATHS = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
"""Where Thunderbird looks: on autoconfig.DOMAIN, and on DOMAIN."""
PROFILE_PATH = "/email.mobileconfig"
AUTODISCOVER_PATH = "/autodiscover/autodiscover.xml"
_JSON_PATHS = (
    "/autodiscover/autodiscover.json",
    "/autodiscover/autodiscover.json/v1.0/{address}",
)
_XML = "text/xml"
_AUTODISCOVER = re.compile(r"/autodiscover/autodiscover\.(?:xml|json(?:/v1\.0/[^/]*)?)\Z", re.I)


def is_settings_path(path: str) -> bool:
    """Whether a path is one where mail programs look for their settings."""
    return path in (*AUTOCONFIG_PATHS, PROFILE_PATH) or bool(_AUTODISCOVER.match(path))


def settings_routes(services: WebServices) -> list[BaseRoute]:
    """Return a line for each address."""
    pages = SettingsPages(services)
    return [
        *[Route(path, pages.autoconfig, methods=["GET"]) for path in AUTOCONFIG_PATHS],
        Route(PROFILE_PATH, pages.profile, methods=["GET"]),
        _AnyCaseRoute(AUTODISCOVER_PATH, pages.autodiscover, methods=["GET", "POST"]),
        *[_AnyCaseRoute(path, pages.autodiscover_json, methods=["GET"]) for path in _JSON_PATHS],
    ]


def profile_response(services: WebServices, profile: bytes) -> Response:
    """Return a configuration profile as a file, signed if the server's certificate can sign."""
    pair = services.certificate()
    if pair is not None:
        profile = sign_profile(profile, pair)
    headers = {"Content-Disposition": 'attachment; filename="mail.mobileconfig"'}
    return Response(profile, media_type=PROFILE_TYPE, headers=headers)


class SettingsPages:
    """Answers programs; who asks for an address of another domain gets nothing."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    async def autoconfig(self, request: Request) -> Response:
        """Send Mozilla's document, for the domain of an address, or for that of the Host field."""
        typed = request.query_params.get("emailaddress", "")
        names, servers = self._services.names, self._services.servers
        if typed:
            address = await self._own_address(typed)
            domain = address.domain if address else None
        else:
            domain = await names.domain(host_of(request.scope))
        if domain is None or not servers:
            return _not_found()
        return Response(make_autoconfig(servers, domain), media_type=_XML)

    async def profile(self, request: Request) -> Response:
        """Send a profile of Apple for an address of ours, whether an account has it or not."""
        typed = request.query_params.get("emailaddress") or request.query_params.get("email", "")
        address = await self._own_address(typed)
        if address is None:
            return _not_found()
        login = address.unicode if not address.is_ascii else str(address)
        profile = make_profile(self._services.servers, address=address, login=login)
        return _not_found() if profile is None else profile_response(self._services, profile)

    async def autodiscover(self, request: Request) -> Response:
        """Answer Outlook; an error has status 200 as well ([MS-OXDSCLI] section 3.2.5)."""
        services = self._services
        try:
            found = read_request(await _body(request))
            if await self._own_address(found.typed) is None:
                raise BadRequest(AutodiscoverError.UNKNOWN_ADDRESS)
            if not services.servers:
                raise BadRequest(AutodiscoverError.OTHER_SCHEMA)
            made = make_settings(services.servers, found)
        except BadRequest as error:
            now_ms = services.clock.now_ms()
            made = make_error(error.error, now_ms, is_mobile=error.is_mobile)
        return Response(made, media_type=_XML)

    async def autodiscover_json(self, request: Request) -> Response:
        """Say where the XML service is."""
        query = {name.lower(): value for name, value in request.query_params.items()}
        base = self._services.public_url or f"https://{self._services.hostname}/"
        url = f"{base.rstrip('/')}{AUTODISCOVER_PATH}"
        status, members = make_json(query.get("protocol", ""), url)
        return JSONResponse(members, status)

    async def _own_address(self, typed: str) -> Address | None:
        """Return an address of a domain of ours; ``None``: it is none."""
        try:
            address = parse_address(typed)
        except (BadAddress, BadDomain):
            return None
        is_ours = await self._services.names.domain(address.domain) == address.domain
        return address if is_ours else None


class _AnyCaseRoute(Route):
    """A route whose path is the same in any case: Outlook writes ``/Autodiscover/...``, too."""

    def __init__(self, path: str, *arguments: Any, **options: Any) -> None:
        super().__init__(path, *arguments, **options)
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)


async def _body(request: Request) -> bytes:
    """Return the body of a request, or as much of it as shows that it is too large."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MAX_REQUEST:
            break
    return b"".join(parts)


def _not_found() -> Response:
    return PlainTextResponse("Not found\n", 404)
