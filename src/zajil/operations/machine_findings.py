"""What does not fit a configuration on this machine and in its network, for ``zajil config check``.

Each takes a moment at most: name servers are asked side by side.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

from zajil.config.options import Configuration
from zajil.core.units import format_duration, format_size
from zajil.net.port_owner import can_listen, is_taken, program_on
from zajil.operations.finding import Finding

_LOOK_AGAIN_SECONDS = 0.2
_ANSWER_SECONDS = 2.0
_WIDEST = {4: 8, 6: 16}
"""Length of the prefix, by version: a network with a shorter one is no company's own."""


def listener_findings(configuration: Configuration, own: Collection[str]) -> Iterator[Finding]:
    """Return the addresses of ``[listen]`` that the server could not use.

    Args:
        configuration: to be used.
        own: addresses on which the server itself listens now; it can change among those of
            one port.
    """
    own_ports = {one.rpartition(":")[2] for one in own if not one.startswith("unix:")}
    seen: dict[str, str] = {}
    for name in type(configuration.listen).model_fields:
        for address in getattr(configuration.listen, name):
            option = f"listen.{name}"
            if address in seen and not address.endswith(":0"):
                yield Finding(option, f"{address} stands in {seen[address]} already")
            elif not address.startswith("unix:") and address.rpartition(":")[2] not in own_ports:
                yield from _listener(option, address)
            seen.setdefault(address, option)


def _listener(option: str, address: str) -> Iterator[Finding]:
    host, _, digits = address.rpartition(":")
    port = int(digits)
    error = can_listen(host.strip("[]"), port)
    if error is not None and is_taken(error):
        time.sleep(_LOOK_AGAIN_SECONDS)  # another program may have tried the port, as we do
        error = can_listen(host.strip("[]"), port)
    if error is None:
        return
    if is_taken(error):
        program = program_on(port)
        by = f"by {program}" if program else "by another program"
        yield Finding(option, f"port {port} is in use {by}: stop that program, or change the port")
    elif isinstance(error, PermissionError):
        reason = (
            f"this user may not open port {port}: start the server by its systemd unit or as root"
        )
        yield Finding(option, reason, is_warning=True)
    elif error.errno == errno.EADDRNOTAVAIL:
        yield Finding(option, f"{host} is not an address of this machine")
    else:
        yield Finding(option, f"cannot listen on {address}: {error.strerror}")


def network_findings(configuration: Configuration) -> Iterator[Finding]:
    """Return trusted networks that are too wide, and name servers that do not answer."""
    net, web = configuration.net, configuration.web
    trusted = {
        "net.proxy_peers": net.proxy_peers,
        "net.xclient_peers": net.xclient_peers,
        "net.bare_lf_peers": net.bare_lf_peers,
        "web.trusted_proxies": web.trusted_proxies,
        "web.private_networks": web.private_networks,
    }
    for option, networks in trusted.items():
        for text in networks:
            network = ip_network(text)
            if network.prefixlen < _WIDEST[network.version]:
                reason = f"{text} trusts a large part of the Internet: name the addresses you mean"
                yield Finding(option, reason, is_warning=True)
    servers = configuration.dns.nameservers
    with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
        for server, reason in zip(servers, pool.map(_ask, servers), strict=True):
            if reason:
                yield Finding("dns.nameservers", f"{server}: {reason}", is_warning=True)


def _ask(server: str) -> str:
    """Ask a name server for the root zone; return why it is of no use."""
    import dns.exception
    import dns.message
    import dns.query

    host, _, port = server.rpartition(":")
    try:
        query = dns.message.make_query(".", "NS")
        dns.query.udp(query, host.strip("[]"), timeout=_ANSWER_SECONDS, port=int(port))
    except dns.exception.Timeout:
        return f"it did not answer within {round(_ANSWER_SECONDS)} seconds"
    except (OSError, dns.exception.DNSException) as error:
        return f"it cannot be asked: {error}"
    return ""


def size_findings(configuration: Configuration) -> Iterator[Finding]:
    """Return sizes and times that contradict each other."""
    largest, mail = configuration.limits.message_size, configuration.mail
    size = format_size(largest)
    if 0 < mail.quota < largest:
        reason = f"a message of limits.message_size ({size}) fits into no mailbox"
        yield Finding("mail.quota", reason, is_warning=True)
    if configuration.store.free_space_reserve < largest:
        reason = f"a message of limits.message_size ({size}) can fill the disk"
        yield Finding("store.free_space_reserve", reason, is_warning=True)
    lifetime, kept = configuration.queue.lifetime_ms, configuration.tracking.retention_ms
    if kept < lifetime:
        reason = (
            f"journeys are removed after {format_duration(kept)}, while mail waits in the queue "
            f"for up to {format_duration(lifetime)} (queue.lifetime)"
        )
        yield Finding("tracking.retention", reason, is_warning=True)
