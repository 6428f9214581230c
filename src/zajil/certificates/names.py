"""Which names the server needs certificates for, and which of them lead to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from zajil.config.options_acme import AcmeOptions
from zajil.core.public_names import public_names
from zajil.dns.flow import Flow, Outcome, Question


def wanted_names(hostname: str, options: AcmeOptions, domains: Iterable[str]) -> list[str]:
    """Return all names, the host name first, each once.

    Args:
        hostname: ``server.hostname``.
        options: ``[acme]``.
        domains: of this server, in ASCII form.
    """
    others = [name for domain in sorted(domains) for name in public_names(domain)]
    return list(dict.fromkeys([hostname, *options.names, *others]))


def find_addresses(name: str) -> Flow[frozenset[str] | None]:
    """Ask for the addresses of a name; ``None``: DNS did not answer."""
    found: set[str] = set()
    for kind in ("A", "AAAA"):
        answer = yield Question(name, kind)
        if answer.outcome is Outcome.FAILED:
            return None
        if answer.outcome is Outcome.FOUND:
            found |= {str(ip_address(value)) for value in answer.values}
    return frozenset(found)


def obstacle(
    name: str, addresses: frozenset[str] | None, own: frozenset[str] | None, hostname: str
) -> str | None:
    """Return what a name waits for, one sentence; ``None``: it can be ordered.

    Args:
        name: in ASCII form.
        addresses: of the name; ``None``: DNS did not answer.
        own: those of ``server.hostname``.
        hostname: it.
    """
    if addresses is None or own is None:
        return f"DNS does not answer for {name if addresses is None else hostname}"
    if not addresses:
        return f"there is no A or AAAA record of {name}"
    if name != hostname and not addresses <= own:
        others = ", ".join(sorted(addresses - own))
        return f"{name} leads to {others}, which is not an address of {hostname}"
    return None


def needs_address(name: str, options: AcmeOptions) -> bool:
    """Whether a name must lead to this server before it is ordered: with DNS-01, those that were
    configured by name need not."""
    return options.challenge != "dns-01" or name not in options.names


def sort_due(names: Sequence[str], hostname: str) -> list[str]:
    """Return names in the order in which they are ordered: the host name first."""
    return sorted(names, key=lambda name: (name != hostname, name))
