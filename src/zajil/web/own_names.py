"""Whose name a request is for: pages, the MTA-STS policy, or settings of mail programs.

Security: the Host field is what the client wrote. It chooses what is served, and nothing that it
contains is sent back unless it is a name of this server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from ipaddress import ip_address

from starlette.types import Scope

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.public_names import POLICY_LABEL, SETTINGS_LABELS


class NameRole(Enum):
    """What a name of this server serves."""

    PAGES = "pages"
    POLICY = "policy"
    SETTINGS = "settings"


class OwnNames:
    """The names of this server.

    Args:
        pages: names of the pages, in A-labels.
        domains: returns the domains of ours, in A-labels; asked for each request.
    """

    def __init__(
        self, pages: Iterable[str], domains: Callable[[], Awaitable[frozenset[str]]]
    ) -> None:
        self._pages = frozenset(pages)
        self._domains = domains

    async def role(self, name: str) -> NameRole | None:
        """Return what a name serves; ``None``: it is not a name of this server.

        Args:
            name: of ``host_of``.

        Raises:
            Unavailable: the domains cannot be read now.
        """
        if name in self._pages:
            return NameRole.PAGES
        ours = await self._domains() if name else frozenset()
        label, _, domain = name.partition(".")
        if label in (POLICY_LABEL, *SETTINGS_LABELS) and domain in ours:
            return NameRole.POLICY if label == POLICY_LABEL else NameRole.SETTINGS
        # A web site of the domain may be elsewhere; if the name leads here, it has our pages.
        return NameRole.PAGES if name in ours else None

    async def domain(self, name: str) -> str | None:
        """Return the domain of ours that a name is, or is in; ``None``: it is in none.

        Raises:
            Unavailable: the domains cannot be read now.
        """
        ours = await self._domains()
        while name and name not in ours:
            name = name.partition(".")[2]
        return name or None


def host_of(scope: Scope) -> str:
    """Return the name that a request is for, in A-labels, without a port.

    ``""``: the Host field is missing, repeated, or not the name of a host (RFC 9112 section 3.2).
    """
    values = [value for name, value in scope["headers"] if name == b"host"]
    if len(values) != 1:
        return ""
    text = values[0].decode("latin-1")
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        host = text
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    else:
        return ""
    try:
        return to_ascii(host) if host.isascii() else ""
    except BadDomain:
        return ""
