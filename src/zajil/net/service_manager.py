"""Report the state of the server to systemd (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
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


def notify_of_reload() -> None:
    """Say that the configuration is being read; ``READY=1`` says when that is over.

    With the time, as a unit with ``Type=notify-reload`` wants it.
    """
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify_service_manager(f"RELOADING=1\nMONOTONIC_USEC={now}")


def watchdog_seconds() -> float | None:
    """Return how often systemd wants to hear ``WATCHDOG=1``, with a reserve; ``None``: never.

    sd_watchdog_enabled(3): half of the time of the unit's ``WatchdogSec``.
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        seconds = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    except ValueError:
        return None
    return seconds if seconds > 0 else None
