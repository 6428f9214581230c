"""Where a link really leads: scheme, host, the domain somebody registered. Pure (RFC 3986)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import unquote

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.dns.public_suffix import suffixes


@value_class(frozen=True, slots=True)
class Target:
    """One URL, as a browser reads it."""

    scheme: str
    """Lower case; ``https`` where only a host stands."""
    host: str
    """ASCII form, or an address; ``""`` for none or one that is no name."""
    user: str
    """What stands before an ``@`` in the authority: made to be taken for the host."""
    is_address: bool
    """The host is an IP address, in any of the forms that browsers take."""


# Browsers take backslashes for slashes, and any number of them.
_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]{0,30}):)?([/\\]*+)([^/\\?#]*+)")
_HTTP = frozenset({"http", "https", "ftp"})


@lru_cache(maxsize=2048)
def read_target(url: str) -> Target | None:
    """Read a URL; ``None``: it leads nowhere outside (a fragment, a relative path)."""
    match = _URL.match(url)
    if match is None:
        return None
    scheme, slashes, authority = match.groups()
    scheme = (scheme or "").lower()
    if not scheme:
        if len(slashes) < 2 and not authority.lower().startswith("www."):
            return None
        scheme = "https"
    if scheme not in _HTTP:
        return Target(scheme, "", "", False)
    user, _, host = authority.rpartition("@")
    host, is_address = _read_host(host)
    return Target(scheme, host, unquote(user[:200]), is_address)


def _read_host(text: str) -> tuple[str, bool]:
    if text.startswith("["):
        try:
            return str(IPv6Address(text.partition("]")[0][1:60])), True
        except AddressValueError:
            return "", False
    name = unquote(text[:1000].partition(":")[0]).rstrip(".").lower()
    address = _read_ipv4(name)
    if address:
        return address, True
    try:
        return to_ascii(name), False
    except BadDomain:
        return "", False


def _read_ipv4(name: str) -> str:
    """Read an address as browsers do: four numbers or fewer, decimal, octal or hexadecimal."""
    if not name or not name[0].isdigit() or len(name) > 50:
        return ""
    numbers: list[int] = []
    for text in name.split("."):
        base = 16 if text.startswith("0x") else 8 if len(text) > 1 and text[0] == "0" else 10
        try:
            numbers.append(int(text, base))
        except ValueError:
            return ""
    if len(numbers) > 4 or any(not 0 <= one < 256 for one in numbers[:-1]):
        return ""
    whole = numbers[-1]
    for place, one in enumerate(numbers[:-1]):
        whole += one << (24 - 8 * place)
    return str(IPv4Address(whole)) if 0 <= whole < 1 << 32 else ""


# Any registered name, in any form, in the words of a link: ``www.bank.example/login``.
_SHOWN_DOMAIN = re.compile(
    r"(?<![\w@./\\-])(https?://)?((?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62})(?![\w@-])",
    re.IGNORECASE,
)


def shown_domain(words: str) -> str | None:
    """Return the domain that the words of a link name, ASCII form; ``None``: they name none."""
    match = _SHOWN_DOMAIN.search(words[:300])
    if match is None:
        return None
    try:
        name = to_ascii(match[2].lower())
    except BadDomain:
        return None
    if match[1] is None and name.count(".") == 1 and name.rpartition(".")[2] in _FILE_ENDINGS:
        return None
    # ``report.pdf`` and ``i.e`` are no domains: their end is nothing that can be registered under.
    if name.endswith(_RESERVED) or suffixes().privatesuffix(name, accept_unknown=False):
        return name
    return None


_FILE_ENDINGS = frozenset(
    ("md", "py", "rs", "sh", "pl", "ps", "so", "cc", "zip", "mov", "java", "swf", "mk", "ml")
)
"""Under which names are registered, and which files have, too: ``README.md``, ``main.rs``."""
_RESERVED = (".test", ".example")
"""RFC 2606 section 2: nobody's, but what tests and the lab are made of."""
