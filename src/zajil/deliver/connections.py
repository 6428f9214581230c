"""Open links kept a moment for the next mail to the same host.

A link is reused when its last mail came to an orderly end; it is closed with QUIT after a short
silence, after some minutes of life, or after many mails, because hosts limit these too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from zajil.core.clock import Clock
from zajil.deliver.client_channel import Channel, ChannelTarget
from zajil.deliver.security import TlsRule, is_secure_enough
from zajil.smtp.state import ClientState

IDLE_SECONDS = 4.0
"""A link nobody needs is closed after this; hosts dislike idle connections, and a mail that comes
later costs one handshake."""
MAX_AGE_MS = 300_000
"""A link is not used longer than this, so that a change in DNS is followed."""
MAX_MAILS = 1000
"""Mails over one link; many hosts cut after fewer, and that is no failure here."""
MAX_IDLE = 100
"""Idle links of one worker: each takes a socket."""
_QUIT_SECONDS = 2.0


@dataclass(slots=True)
class _Idle:
    link: Channel
    until: float
    """By the time of the loop."""


class Connections:
    """The idle links of one worker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._idle: dict[ChannelTarget, list[_Idle]] = {}
        self._timer: asyncio.TimerHandle | None = None
        """Of the link that expires first, or of one that was taken since: a timer for each mail
        would be cancelled for nearly each."""
        self._quitting: set[asyncio.Task[None]] = set()

    def take(self, target: ChannelTarget, rule: TlsRule = TlsRule.OPPORTUNISTIC) -> Channel | None:
        """Return the link that was used last and that the rule permits; who takes it closes it or
        gives it back.

        The host may have closed it in this moment.
        """
        found: Channel | None = None
        idle = self._idle.get(target, [])
        for kept in reversed(idle[:]):
            # A host that speaks unasked wants to say 421, or its words would pass for the answers
            # to the next mail.
            is_usable = kept.link.stream.is_quiet
            if is_usable and not is_secure_enough(kept.link, rule):
                continue
            idle.remove(kept)
            if is_usable:
                found = kept.link
                break
            kept.link.abort()
        if not idle:
            self._idle.pop(target, None)
        return found

    def give(self, link: Channel) -> None:
        """Keep a link for the next mail, or let it go."""
        worn = (
            link.mails >= MAX_MAILS
            or self._clock.now_ms() - link.opened_ms >= MAX_AGE_MS
            or sum(map(len, self._idle.values())) >= MAX_IDLE
        )
        conn = link.conn
        # Something that was said in a transaction is still open: do not mix it with the next.
        is_open = conn.state is not ClientState.READY or conn.replies_owed()
        if is_open or conn.has_pending_input():
            link.abort()
        elif worn:
            self._quit(link)
        else:
            until = asyncio.get_running_loop().time() + IDLE_SECONDS
            self._idle.setdefault(link.target, []).append(_Idle(link, until))
            if self._timer is None:
                self._set_timer(until)

    async def close(self) -> None:
        """Send QUIT on all idle links and wait shortly for the replies."""
        for idle in list(self._idle.values()):
            for kept in idle:
                self._quit(kept.link)
        self._idle.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._quitting:
            await asyncio.wait(self._quitting, timeout=_QUIT_SECONDS)

    def _set_timer(self, until: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(until, self._expire)

    def _expire(self) -> None:
        """Close what was idle for long enough, and wait for the next."""
        now = asyncio.get_running_loop().time()
        self._timer = None
        for target, idle in list(self._idle.items()):
            for kept in idle:
                if kept.until <= now:
                    self._quit(kept.link)
            idle[:] = [kept for kept in idle if kept.until > now]
            if not idle:
                del self._idle[target]
        if self._idle:
            self._set_timer(min(kept.until for idle in self._idle.values() for kept in idle))

    def _quit(self, link: Channel) -> None:
        task = asyncio.create_task(link.quit(_QUIT_SECONDS))
        self._quitting.add(task)
        task.add_done_callback(self._quitting.discard)
