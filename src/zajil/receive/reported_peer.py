"""Whom a proxy of ours speaks for, once XCLIENT has told (Postfix, XCLIENT_README). Pure.

Security: what stands here decides about limits, log-ins and what Received says; only peers in
``net.xclient_peers`` get so far (``smtp.extensions.Offer.xclient``).
"""

from __future__ import annotations

from zajil.net.peer import Peer, join_host_port, split_host_port
from zajil.smtp.command import UnknownCommand, Xclient


def reported_peer(proxy: Peer, told: Xclient) -> Peer:
    """Give the peer in place of the proxy; what is not known stays the proxy's."""
    host, port, local = proxy.host, proxy.port, proxy.local
    if told.address is not None and not isinstance(told.address, UnknownCommand):
        mapped = told.address.ipv4_mapped if told.address.version == 6 else None
        host, port = str(mapped or told.address), 0
    if isinstance(told.port, int):
        port = told.port
    if told.local_address is not None and not isinstance(told.local_address, UnknownCommand):
        port_of_ours = 0 if local.startswith("unix:") else split_host_port(local)[1]
        if isinstance(told.local_port, int):
            port_of_ours = told.local_port
        local = join_host_port(str(told.local_address), port_of_ours)
    return Peer(host, port, local)
