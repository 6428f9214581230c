"""Back-off: an unresponsive server or zone is not queried again at once (RFC 9520 section 3). Pure.

Without it, a dead name server would delay each mail by the timeout of each query. Two different
things may be unresponsive:

- A name server. It is skipped only if it also fails to answer a query whose answer it must know.
- A zone. An attacker can use a zone whose servers never respond; so a zone is skipped by itself,
  and queries for all others continue.

Laws:
- Simultaneous failures count once: a query counts only if it was sent after the last failure that
  counted.
- A pause is short, and any answer ends it.
- The amount of stored data is limited, whatever names are queried.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from zajil.dns.public_suffix import registered_domain

FIRST_REST_MS, REST_MS = 1000, 2000
"""The first rest, and each one after it."""

_FAILURES = 2
"""Moments at which a zone failed before it rests: one lost datagram says nothing."""
_CHILDREN = 3
"""Names below a registered domain that rest before all of it does."""
_MAX_ZONES = 4096


def _is_resting(again_ms: int, now_ms: int) -> bool:
    # A clock that was set back must not make a rest long.
    return 0 < again_ms - now_ms <= REST_MS


class ServerBackOff:
    """What is known of one name server."""

    __slots__ = ("_again_ms", "answers", "down_since_ms")

    def __init__(self) -> None:
        self.answers = 0
        """How many it gave so far: who asked when it was lower knows that the server lives."""
        self.down_since_ms: int | None = None
        """``None``: it is up, as far as we know."""
        self._again_ms = 0

    @property
    def is_down(self) -> bool:
        """Whether it failed to answer what it must know, and has answered nothing since."""
        return self.down_since_ms is not None

    def is_due(self, now_ms: int) -> bool:
        """Whether it is down, and its rest is over: somebody should find out whether it is back."""
        return self.is_down and not _is_resting(self._again_ms, now_ms)

    def is_down_for(self, ms: int, now_ms: int) -> bool:
        """Whether it has been down for so long."""
        return self.down_since_ms is not None and now_ms - self.down_since_ms >= ms

    def failed(self, now_ms: int) -> None:
        """Note that it did not answer what it must know."""
        if self.down_since_ms is None:
            self.down_since_ms = now_ms
            self._again_ms = now_ms + FIRST_REST_MS
        else:
            self._again_ms = now_ms + REST_MS

    def answered(self) -> None:
        """Note that it answered, whatever it said."""
        self.answers += 1
        self.down_since_ms = None


class _Rest:
    """Of one zone."""

    __slots__ = ("again_ms", "children", "failures")

    def __init__(self) -> None:
        self.failures = 0
        self.again_ms = 0
        self.children: set[str] = set()
        """Names below it that rest."""

    def rests(self, now_ms: int) -> bool:
        return _is_resting(self.again_ms, now_ms)

    def begin(self, now_ms: int) -> None:
        self.again_ms = now_ms + (FIRST_REST_MS if self.again_ms == 0 else REST_MS)


class ZoneBackOffs:
    """The zones that do not answer.

    Where zones are cut is not known here, so a zone is taken to be the label below a registered
    domain (``_dmarc.north.test``, ``old.north.test``): a part of a domain that nobody serves any
    more does not silence the rest of it. Of a domain with several such parts, all of it rests.
    """

    def __init__(self) -> None:
        self._rests: OrderedDict[str, _Rest] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rests)

    def rests(self, name: str, now_ms: int) -> bool:
        """Whether the zone of a name is to be left alone now."""
        return any(one.rests(now_ms) for one in self._of(name))

    def may_ask(self, name: str, now_ms: int) -> bool:
        """Whether to ask for a name; of a zone that failed, one question after each rest."""
        known = self._of(name)
        if any(one.rests(now_ms) for one in known):
            return False
        for one in known:
            if one.again_ms:
                one.begin(now_ms)
        return True

    def moment(self, name: str) -> int:
        """Return what ``failed`` needs of the time at which a question is asked."""
        rest = self._rests.get(zone_of(name)[1]) if self._rests else None
        return rest.failures if rest is not None else 0

    def failed(self, name: str, moment: int, now_ms: int) -> None:
        """Note that a server that lives did not answer a question, asked at that ``moment``."""
        domain, zone = zone_of(name)
        rest = self._get(zone)
        if rest.failures != moment:
            return
        rest.failures += 1
        if rest.failures < _FAILURES:
            return
        rest.begin(now_ms)
        if zone == domain:
            return
        whole = self._get(domain)
        if len(whole.children) < _CHILDREN:
            whole.children.add(zone)
        if len(whole.children) == _CHILDREN:
            whole.begin(now_ms)

    def answered(self, name: str) -> None:
        """Note that there was an answer; failures of a name server are none."""
        if self._rests:
            for zone in zone_of(name):
                self._rests.pop(zone, None)

    def _of(self, name: str) -> list[_Rest]:
        if not self._rests:
            return []
        return [rest for zone in set(zone_of(name)) if (rest := self._rests.get(zone))]

    def _get(self, zone: str) -> _Rest:
        rest = self._rests.setdefault(zone, _Rest())
        self._rests.move_to_end(zone)
        if len(self._rests) > _MAX_ZONES:
            self._rests.popitem(last=False)
        return rest


@lru_cache(maxsize=4096)
def zone_of(name: str) -> tuple[str, str]:
    """Return the registered domain of a name, and the name one label below it, or the same again.

    Of the names of addresses, the network that one customer has: IPv4 /24, IPv6 /48.
    """
    labels = name.lower().rstrip(".").split(".")
    for end, count in ((["in-addr", "arpa"], 5), (["ip6", "arpa"], 14)):
        if labels[-2:] == end:
            network = ".".join(labels[-count:])
            return network, network
    domain = registered_domain(".".join(labels))
    size = domain.count(".") + 1
    return domain, ".".join(labels[-size - 1 :])
