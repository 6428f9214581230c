"""Report the state of the server to systemd (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify_service_manager(state: str) -> None:
    """Send ``READY=1`` or ``STOPPING=1``; nothing happens where nobody asked for it.

    A unit with ``Type=notify`` sets NOTIFY_SOCKET; a failure to tell is no reason not to serve.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
