"""What DNSSEC says of the certificates of the hosts of a domain (DANE, RFC 7672).

Law: without DNSSEC nothing here has an effect; with it, a failed look-up means "later": whoever can
suppress an answer must not be able to switch DANE off (RFC 7672 section 2.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zajil.dns.flow import Outcome, Question, Resolve
from zajil.route.next_hop import Host
from zajil.tls.tlsa import Tlsa, parse_tlsa

MAX_HOSTS = 6
"""As many as are tried in one attempt."""


@dataclass(frozen=True, slots=True)
class DaneFacts:
    """What was found for the hosts of a domain."""

    records: Mapping[str, tuple[Tlsa, ...]]
    """By host: its certificate must match one of them. Empty: it must encrypt, and no record is
    usable. A host that is not there has no TLSA records."""
    failed: tuple[str, ...]
    """Hosts whose records could not be looked up: they must not be used now."""


async def find_dane(hosts: Sequence[Host], resolve: Resolve, port: int) -> DaneFacts:
    """Look up the TLSA records of hosts that DNSSEC protects.

    Args:
        hosts: of one domain whose MX records (or lack of them) are protected, too.
        resolve: answers questions.
        port: of SMTP.
    """
    records: dict[str, tuple[Tlsa, ...]] = {}
    failed: list[str] = []
    for host in hosts[:MAX_HOSTS]:
        # RFC 7672 section 2.2.2: where the addresses are not protected, nobody asks.
        if not host.is_authentic:
            continue
        answer = await resolve(Question(f"_{port}._tcp.{host.name}", "TLSA"))
        if answer.outcome is Outcome.FAILED:
            failed.append(host.name)
        elif answer.outcome is Outcome.FOUND and answer.authentic:
            records[host.name] = parse_tlsa(answer.values)
    # Security: a host whose records nobody asked for must not be used as if it had none.
    failed += [host.name for host in hosts[MAX_HOSTS:] if host.is_authentic]
    return DaneFacts(records, tuple(failed))
