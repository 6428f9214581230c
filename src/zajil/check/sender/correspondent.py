"""Whom a mail comes from, as far as it is proven, and the keys its history is kept under. Pure.

Security: the name in From is anybody's to write. It has the history of its owner only where the
domain is proven (DMARC, or SPF or DKIM of the same organization); else its history is that of this
name from this network, which the owner of the name neither gains nor suffers from.

| Key | Of |
|---|---|
| ``address:amal@north.test`` | a proven author; also somebody we wrote to |
| ``domain:north.test`` | the organization of a proven author |
| ``spf:bounces.test`` | the organization of the envelope, proven, where it is another one |
| ``claimed:192.0.2.0/24 amal@north.test`` | an author who is not proven, from this network |
| ``network:192.0.2.0/24`` | the peer's IPv4 /24 or IPv6 /48 |
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from zajil.core.address import Address
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.dns.public_suffix import registered_domain
from zajil.mailauth.authres import MethodResult
from zajil.mailauth.authres_read import is_same_name, read_results
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc import DmarcFound
from zajil.mailauth.spf import SpfFound
from zajil.message.address_list import read_from
from zajil.message.fields import Field, find_value


@value_class(frozen=True, slots=True)
class ProvenIdentity:
    """What the checks of the sender have proven."""

    envelope: str | None = None
    """Domain of a reverse path that passed SPF."""
    author: frozenset[str] = frozenset()
    """Domains that vouch for the author: of DMARC, of DKIM signatures, of the envelope."""


_MAX_FROM = 2000
"""Bytes of a From that may name one author; whoever writes more has no history."""

NOTHING_PROVEN = ProvenIdentity()


@value_class(frozen=True, slots=True, kw_only=True)
class Correspondent:
    """Who a mail comes from."""

    address: str | None = None
    """Of From, in the form people read; ``None``: it has no single author."""
    is_proven: bool = False
    """The domain of ``address`` is proven."""
    address_key: str | None = None
    """``address:``; ``None``: not proven."""
    domain_key: str | None = None
    spf_key: str | None = None
    claimed_key: str | None = None
    network_key: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """All under which something may be known."""
        return tuple(
            [
                key
                for key in (
                    self.address_key,
                    self.domain_key,
                    self.spf_key,
                    self.claimed_key,
                    self.network_key,
                )
                if key is not None
            ]
        )

    @property
    def lasting_keys(self) -> tuple[str, ...]:
        """Those that a stranger cannot make up without end: what was merely seen is kept there."""
        return tuple([key for key in self.keys if key != self.claimed_key])


UNKNOWN = Correspondent()


def address_key(address: Address) -> str:
    """Return the key of an address that is proven, or that we wrote to."""
    return f"address:{address.key}"


def identify(
    fields: Sequence[Field], host: str | None, proven: ProvenIdentity = NOTHING_PROVEN
) -> Correspondent:
    """Return the correspondent of a mail.

    Args:
        fields: of its header section.
        host: address of the peer; ``None``: it is not known, or it is ours.
        proven: what the checks found.
    """
    network = correspondent_network(host)
    author = find_author(fields)
    domain = None if author is None else correspondent_domain(author.domain)
    is_proven = domain is not None and domain in {
        correspondent_domain(one) for one in proven.author
    }
    envelope = correspondent_domain(proven.envelope) if proven.envelope else None
    claimed = None
    if author is not None and network is not None and not is_proven:
        claimed = f"claimed:{network} {author.key}"
    return Correspondent(
        address=author.unicode if author is not None else None,
        is_proven=is_proven,
        address_key=address_key(author) if author is not None and is_proven else None,
        domain_key=f"domain:{domain}" if is_proven else None,
        spf_key=f"spf:{envelope}" if envelope and not (is_proven and envelope == domain) else None,
        claimed_key=claimed,
        network_key=f"network:{network}" if network is not None else None,
    )


def prove(
    spf: SpfFound | None, dkim: Sequence[DkimFound], dmarc: DmarcFound | None
) -> ProvenIdentity:
    """Return what the checks of the sender have proven.

    Security: a signature proves nothing here that leaves From or an end of the body unsigned. Where
    DMARC fails, the organization may be the same, and the domain asks not to be believed.
    """
    envelope = None
    if spf is not None and spf.result == "pass" and spf.identity == "mailfrom":
        envelope = spf.domain
    if dmarc is not None and dmarc.result == "fail":
        return ProvenIdentity(envelope)
    author = {
        one.domain
        for one in dkim
        if one.result == "pass" and one.covers_from and one.signed_size is None
    }
    if envelope:
        author.add(envelope)
    if dmarc is not None and dmarc.result == "pass":
        author.add(dmarc.domain)
    return ProvenIdentity(envelope, frozenset(author - {""}))


def find_author(fields: Sequence[Field]) -> Address | None:
    """Return the one address in From; ``None``: none, several, or several fields."""
    values = [field.value for field in fields if field.name == b"from"]
    if len(values) != 1 or len(values[0]) > _MAX_FROM:
        return None
    people = read_from(values[0]).people
    return people[0].address if len(people) == 1 else None


@functools.lru_cache(maxsize=4096)
def correspondent_domain(domain: str) -> str:
    """Return the part of a domain that one organization registers (decision 0007 says why a list).

    A name that is itself a public suffix, or an address literal, is its own.
    """
    name = domain.rstrip(".").lower()
    if name.startswith("["):
        return name
    return registered_domain(name)


@functools.lru_cache(maxsize=4096)
def correspondent_network(host: str | None) -> str | None:
    """Return the network of a peer: IPv4 /24, IPv6 /48 (the smallest given to a customer).

    ``None``: no address, or a program of this machine.
    """
    if not host:
        return None
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return None
    return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


# ---- of a mail that lies in a mailbox ----------------------------------------------------------


def identify_stored(fields: Sequence[Field], authserv_id: str) -> Correspondent:
    """Say whom a mail came from that we have taken, by what we wrote on top of it then.

    Security: our names in fields that came with the mail were cut out when it was taken; what a
    user puts into a mailbox can teach nothing but what that user could teach anyway.
    """
    return identify(fields, _host_of(fields), _proven_of(fields, authserv_id))


# Our own Received writes it so, and lets no parenthesis of the peer's stand before it.
_LITERAL = re.compile(rb"\A[^()]*+\(\[(?:IPv6:)?([0-9A-Fa-f:.]{2,45})\]\)")


def _host_of(fields: Sequence[Field]) -> str | None:
    found = _LITERAL.match((find_value(fields, b"received") or b"")[:600])
    return found[1].decode("ascii") if found else None


# A quote that nothing closes goes on to the end: so nothing is read twice.
def _proven_of(fields: Sequence[Field], authserv_id: str) -> ProvenIdentity:
    value = find_value(fields, b"authentication-results")
    read = None if value is None else read_results(value)
    if read is None or not is_same_name(read.authserv_id, authserv_id):
        return NOTHING_PROVEN
    passed = [one for one in read.results if one.result == "pass"]
    envelope = _domains(passed, "spf", "smtp.mailfrom")
    if any([one.result == "fail" for one in read.results_of("dmarc")]):
        return ProvenIdentity(next(iter(envelope), None))
    author = {*envelope, *_domains(passed, "dkim", "header.d")}
    author |= _domains(passed, "dmarc", "header.from")
    return ProvenIdentity(next(iter(envelope), None), frozenset(author))


def _domains(results: Sequence[MethodResult], method: str, name: str) -> set[str]:
    """Return the domains that one method names, in ASCII."""
    found: set[str] = set()
    for result in results:
        if result.method == method:
            values = [value for key, value in result.properties if key == name]
            for value in values:
                with suppress(BadDomain):
                    found.add(to_ascii(value.rpartition("@")[2]))
    return found
