"""DNS lists of addresses, and who watches that they work (RFC 5782).

Laws:
- Only an answer in 127.0.0.0/8 is a listing, and none in 127.255.255.0/24: that is how a list says
  that it does not answer us.
- A list that fails its test points, or does not answer them, counts for nothing until it passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address

from zajil.core.value_class import value_class
from zajil.dns.flow import Answer, Outcome, Question, Resolve
from zajil.net.logger import get_logger

_LISTINGS = IPv4Network("127.0.0.0/8")
_ERRORS = IPv4Network("127.255.255.0/24")
_MUST_BE_LISTED = IPv4Address("127.0.0.2")
_MUST_NOT_BE_LISTED = IPv4Address("127.0.0.1")
WATCH_SECONDS = 3600.0
"""Between two tests of a list."""


@value_class(frozen=True, slots=True)
class ListEntry:
    """An address stands in a list."""

    zone: str
    codes: tuple[str, ...]
    weight: float


@value_class(frozen=True, slots=True)
class Asked:
    """What the lists said of one address."""

    listed: tuple[ListEntry, ...]
    inputs: tuple[str, ...]
    """Each question with its answer, one a line."""
    did_all_answer: bool


class DnsLists:
    """The lists the operator chose; what was found out of their health is kept here."""

    def __init__(self, weights: Mapping[str, float], resolve: Resolve) -> None:
        """Take the lists.

        Args:
            weights: of a zone, or of one code of it: ``zen.example``, ``zen.example 127.0.0.10``.
            resolve: asks DNS.
        """
        self._weights = dict(weights)
        self._resolve = resolve
        self.zones = tuple(dict.fromkeys(name.split()[0] for name in weights))
        self.broken: dict[str, str] = {}
        """Zone to the reason why it does not count."""
        self._tested: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.zones)

    async def find(self, ip: IPv4Address | IPv6Address, resolve: Resolve | None = None) -> Asked:
        """Ask all lists that work, side by side; waits for the slowest.

        Args:
            ip: of the peer.
            resolve: with a deadline; ``None``: as the resolver waits.
        """
        ask = resolve or self._resolve
        new = [zone for zone in self.zones if zone not in self._tested]
        if new:
            # A list that was shut down may list everybody: it is tested before it counts.
            await asyncio.gather(*(self.test(zone, resolve) for zone in new))
        working = [zone for zone in self.zones if zone not in self.broken]
        questions = [Question(list_name(ip, zone), "A") for zone in working]
        answers = await asyncio.gather(*(ask(question) for question in questions))
        read = [self._read(zone, one) for zone, one in zip(working, answers, strict=True)]
        return Asked(
            tuple([one for one in read if one is not None]),
            tuple([str(one) for one in answers]),
            all(one.outcome is not Outcome.FAILED for one in answers),
        )

    def _read(self, zone: str, answer: Answer) -> ListEntry | None:
        codes = tuple(value for value in answer.values if _is_listing(value))
        if not codes:
            return None
        weight = max(self._weights.get(f"{zone} {code}", self._weight(zone)) for code in codes)
        return ListEntry(zone, codes, weight)

    def _weight(self, zone: str) -> float:
        return self._weights.get(zone, 0.0)

    async def watch(self) -> None:
        """Test all lists now and every hour, until cancelled."""
        while True:
            await asyncio.gather(*(self.test(zone) for zone in self.zones))
            await asyncio.sleep(WATCH_SECONDS)

    async def test(self, zone: str, resolve: Resolve | None = None) -> None:
        """Ask for the two test points of a list (RFC 5782 section 5).

        Args:
            zone: of the list.
            resolve: with a deadline; ``None``: as the resolver waits.
        """
        reason = await self._find_fault(zone, resolve or self._resolve)
        self._tested.add(zone)
        if reason is None:
            if self.broken.pop(zone, None) is not None:
                get_logger().warning("DNS list passed its test and is used again", zone=zone)
        elif zone not in self.broken:
            get_logger().warning(
                "DNS list failed its test and is not used", zone=zone, reason=reason
            )
            self.broken[zone] = reason
        else:
            self.broken[zone] = reason

    async def _find_fault(self, zone: str, resolve: Resolve) -> str | None:
        listed = await resolve(Question(list_name(_MUST_BE_LISTED, zone), "A"))
        if listed.outcome is Outcome.FAILED:
            return f"the list does not respond ({listed.detail})"
        if any(_is_error(value) for value in listed.values):
            return f"the list refuses our queries ({', '.join(listed.values)})"
        if not any(_is_listing(value) for value in listed.values):
            return f"the list does not contain its test entry {_MUST_BE_LISTED}"
        free = await resolve(Question(list_name(_MUST_NOT_BE_LISTED, zone), "A"))
        if any(_is_listing(value) for value in free.values):
            return f"the list contains {_MUST_NOT_BE_LISTED} and may contain every address"
        return None


def list_name(ip: IPv4Address | IPv6Address, zone: str) -> str:
    """Return the name to ask for (RFC 5782 section 2.1, section 2.4)."""
    return f"{ip.reverse_pointer.rsplit('.', 2)[0]}.{zone}"


def _is_listing(value: str) -> bool:
    try:
        address = IPv4Address(value)
    except AddressValueError:
        return False
    return address in _LISTINGS and address not in _ERRORS


def _is_error(value: str) -> bool:
    try:
        return IPv4Address(value) in _ERRORS
    except AddressValueError:
        return False
