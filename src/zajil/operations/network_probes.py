"""Probes of what others see of this server: port 25, names, resolver, block lists.

Nothing here raises on what DNS or another server says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network, ip_address

from zajil.check.sender.dns_lists import list_name
from zajil.dns.flow import Answer, Outcome, Question, Resolve
from zajil.net.own_addresses import public_addresses
from zajil.operations.probe import Probe
from zajil.tracking.check_names import mark

SMTP_PORT = 25
_CONNECT_SECONDS = 10.0
_MOST_HOSTS = 2
_REFUSED = IPv4Network("127.255.255.0/24")
"""Answers of a list that does not answer this resolver (RFC 5782; Spamhaus documents the codes)."""
_TEST_ENTRY = ip_address("127.0.0.2")

OUT, INWARDS = mark("Port 25 outwards"), mark("Port 25 inwards")
NAME, IPV6 = mark("Name and address"), mark("IPv6")
DNSSEC, LISTS, LISTED = mark("DNSSEC"), mark("DNS lists"), mark("Block lists")


async def probe_outwards(domain: str, resolve: Resolve, port: int = SMTP_PORT) -> Probe:
    """Connect to a mail server of a domain that is known to take mail, and read its greeting.

    Waits at most 10 seconds for each of two servers.
    """
    answer = await resolve(Question(domain, "MX"))
    facts = {"domain": domain}
    hosts = [value.rpartition(" ")[2] for value in answer.values]
    addresses = [
        value for host in hosts[:_MOST_HOSTS] for value in (await _look_up(host, "A", resolve))[:1]
    ]
    if not addresses:
        text = mark("DNS gave no mail server of {domain}; port 25 was not tried.")
        advice = mark("Check the name servers of this machine in /etc/resolv.conf.")
        return Probe(OUT, "skipped", text, facts, advice)
    reason = ""
    for address in addresses:
        reason = await _greet(address, port)
        if not reason:
            text = mark("Mail servers of others can be reached ({domain}).")
            return Probe(OUT, "ok", text, facts)
    facts |= {"reason": reason, "address": f"{addresses[0]} port {port}"}
    text = mark("A mail server of {domain} cannot be reached ({address}): {reason}.")
    advice = mark(
        "Many providers block port 25: ask yours to open it, or send through another server."
    )
    return Probe(OUT, "problem", text, facts, advice)


def probe_inwards() -> Probe:
    """Say how to try what cannot be tried from here."""
    text = mark("Whether others reach port 25 of this machine cannot be tried from here.")
    advice = mark("Open it in the firewall; send a message from elsewhere when the server runs.")
    return Probe(INWARDS, "skipped", text, {}, advice)


async def probe_name(hostname: str, resolve: Resolve) -> list[Probe]:
    """Compare the addresses of the host name, their names, and the addresses of this machine."""
    addresses = [
        *await _look_up(hostname, "A", resolve),
        *await _look_up(hostname, "AAAA", resolve),
    ]
    facts = {"name": hostname}
    if not addresses:
        text = mark("{name} has no address in DNS yet.")
        advice = mark("Publish its A record, and AAAA with IPv6.")
        return [Probe(NAME, "warning", text, facts, advice)]
    found = [await _check_reverse(hostname, address, resolve) for address in addresses]
    own = public_addresses()
    others = [one for one in addresses if own and one not in own]
    if others:
        facts |= {"addresses": ", ".join(others), "own": ", ".join(own)}
        text = mark("{name} leads to {addresses}, and this machine has {own}.")
        advice = mark("Correct the record, or ignore this if the address is forwarded to here.")
        found.append(Probe(NAME, "warning", text, facts, advice))
    return found


async def _check_reverse(hostname: str, address: str, resolve: Resolve) -> Probe:
    answer = await resolve(Question(ip_address(address).reverse_pointer, "PTR"))
    names = [name.casefold() for name in answer.values]
    facts = {"name": hostname, "address": address, "found": ", ".join(answer.values)}
    if hostname.casefold() in names:
        text = mark("{address} is {name} in both directions (A or AAAA, PTR).")
        return Probe(NAME, "ok", text, facts)
    advice = mark("Let the provider of the address set its PTR record to {name}.")
    if answer.outcome is Outcome.FAILED:
        text = mark("DNS did not say which name {address} has (PTR).")
        return Probe(NAME, "warning", text, facts, advice)
    if names:
        text = mark("The name of {address} is {found}, not {name} (PTR).")
        return Probe(NAME, "problem", text, facts, advice)
    text = mark("{address} has no name (PTR): many servers will reject your mail.")
    return Probe(NAME, "problem", text, facts, advice)


def probe_ipv6(hostname_has_ipv6: bool) -> Probe:
    """Compare what DNS promises with what this machine has."""
    has_address = any(":" in one for one in public_addresses())
    if hostname_has_ipv6 and not has_address:
        text = mark("The host name has an IPv6 address, and this machine has no public one.")
        advice = mark("Remove the AAAA record, or ignore this if the address is forwarded to here.")
        return Probe(IPV6, "warning", text, {}, advice)
    if has_address:
        return Probe(IPV6, "ok", mark("This machine has a public IPv6 address."))
    text = mark("This machine has no public IPv6 address; mail works without one.")
    return Probe(IPV6, "ok", text)


async def probe_dnssec(signed: str, broken: str, resolve: Resolve) -> Probe:
    """Ask for a name with valid signatures and for one with broken ones.

    Args:
        signed: name with an A record that DNSSEC protects.
        broken: the same, with signatures that are wrong.
        resolve: the resolver to judge.
    """
    good = await resolve(Question(signed, "A"))
    if good.outcome is Outcome.FAILED:
        text = mark("The resolver does not answer: {reason}.")
        advice = mark("Check the name servers of this machine in /etc/resolv.conf.")
        return Probe(DNSSEC, "problem", text, {"reason": good.detail}, advice)
    bad = await resolve(Question(broken, "A"))
    if good.authentic:
        return Probe(DNSSEC, "ok", mark("The resolver validates answers (DNSSEC)."))
    advice = mark("Install Unbound on this machine and ask it: nameserver 127.0.0.1.")
    if bad.outcome is Outcome.FAILED:
        text = mark(
            "The resolver validates answers, but it is not on this machine: its answers could be "
            "changed on the way, so DANE is not used."
        )
        return Probe(DNSSEC, "warning", text, {}, advice)
    text = mark("The resolver does not validate answers (DNSSEC), so DANE is not used.")
    return Probe(DNSSEC, "warning", text, {}, advice)


async def probe_lists(zones: Sequence[str], resolve: Resolve) -> list[Probe]:
    """Ask each list for the entry that all lists have (RFC 5782 section 5)."""
    return list(await asyncio.gather(*[_probe_list(zone, resolve) for zone in zones]))


async def _probe_list(zone: str, resolve: Resolve) -> Probe:
    answer = await resolve(Question(list_name(_TEST_ENTRY, zone), "A"))
    facts = {"list": zone, "reason": answer.detail or answer.outcome.value}
    if any(ip_address(value) in _REFUSED for value in answer.values):
        text = mark("{list} refuses the resolver of this machine: it is a public or shared one.")
        advice = mark("Install a resolver of your own on this machine, such as Unbound.")
        return Probe(LISTS, "problem", text, facts, advice)
    if answer.outcome is Outcome.FOUND:
        return Probe(LISTS, "ok", mark("{list} answers the resolver of this machine."), facts)
    text = mark("{list} does not answer the resolver of this machine: {reason}.")
    advice = mark("Check the resolver; with public resolvers, lists do not answer.")
    return Probe(LISTS, "warning", text, facts, advice)


async def probe_listed(hostname: str, zones: Sequence[str], resolve: Resolve) -> list[Probe]:
    """Ask the lists for the addresses that this server sends from."""
    known = [*await _look_up(hostname, "A", resolve), *await _look_up(hostname, "AAAA", resolve)]
    addresses = list(dict.fromkeys([*public_addresses(), *known]))
    if not addresses:
        text = mark("No public address is known; block lists were not asked.")
        return [Probe(LISTED, "skipped", text)]
    found = []
    for address in addresses:
        for zone in zones:
            answer = await resolve(Question(list_name(ip_address(address), zone), "A"))
            if _is_listed(answer):
                facts = {"list": zone, "address": address, "codes": ", ".join(answer.values)}
                text = mark("{address} is in the block list {list} ({codes}).")
                advice = mark("Ask the list to remove it, or use another address: mail is refused.")
                found.append(Probe(LISTED, "problem", text, facts, advice))
    facts = {"lists": ", ".join(zones), "addresses": ", ".join(addresses)}
    return found or [Probe(LISTED, "ok", mark("{addresses}: in no block list ({lists})."), facts)]


def _is_listed(answer: Answer) -> bool:
    return any(
        value.startswith("127.") and ip_address(value) not in _REFUSED for value in answer.values
    )


async def _look_up(host: str, kind: str, resolve: Resolve) -> tuple[str, ...]:
    return (await resolve(Question(host, kind))).values


async def _greet(address: str, port: int) -> str:
    """Read the greeting of a mail server; return why not, or nothing."""
    writer = None
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(address, port)
            line = await reader.readline()
    except TimeoutError:
        return "no answer in 10 seconds"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:  # a line without an end
        return "it does not speak SMTP"
    finally:
        if writer is not None:
            writer.close()
    return "" if line.startswith((b"220", b"4", b"5")) else "it does not speak SMTP"
