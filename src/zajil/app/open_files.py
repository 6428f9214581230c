"""How many files a process of ours may have open: as many as the caps on sessions let it need."""

from __future__ import annotations

import resource

from zajil.config.options import Configuration
from zajil.core.service import MAIL_SERVICES, Service
from zajil.net.logger import get_logger

_SPARE = 2000
"""The store, large messages that arrive, deliveries, browsers behind a proxy."""


def files_needed(configuration: Configuration) -> int:
    """Return what a worker needs at most: the kernel may give all sessions to one of them."""
    services = (*MAIL_SERVICES, Service.HTTPS, Service.HTTP)
    listening = [name for name in services if getattr(configuration.listen, name)]
    return len(listening) * configuration.limits.sessions + _SPARE


def allow_open_files(needed: int) -> None:
    """Raise the soft limit of this process and those it forks; warn where the hard one is lower.

    The hard limit is the operator's, and stays as it is even where we might raise it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        get_logger().warning(
            "limits.sessions requires more open files than the system allows: raise the hard "
            "limit (LimitNOFILE of a systemd unit, ulimit -Hn), or lower limits.sessions",
            needed=needed,
            allowed=allowed,
        )
