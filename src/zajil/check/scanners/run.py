"""Scanners that an operator runs beside us: asked side by side, none of them needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from zajil.check.facts import MessageFacts
from zajil.check.scanners import clamd
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.config.options_content import ScannerOptions
from zajil.core.value_class import value_class
from zajil.tracking.events import CheckDone

if TYPE_CHECKING:
    from zajil.check.scanners.rspamd import Rspamd


@value_class(frozen=True, slots=True)
class ScannerFindings:
    """What the scanners said."""

    reasons: tuple[Reason, ...] = ()
    events: tuple[CheckDone, ...] = ()


NOT_SCANNED = ScannerFindings()


class Scanners:
    """All scanners of one worker; close it at the end."""

    def __init__(self, options: ScannerOptions) -> None:
        self._options = options
        self._rspamd: Rspamd | None = None
        if options.rspamd:
            # Imported here, because httpx takes 60 ms and 6 MiB, and few servers have Rspamd.
            from zajil.check.scanners.rspamd import Rspamd

            self._rspamd = Rspamd(options.rspamd)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is to be asked."""
        return not (self._options.clamd or self._options.rspamd)

    async def close(self) -> None:
        """Close what is open."""
        if self._rspamd is not None:
            await self._rspamd.close()

    async def scan(self, facts: MessageFacts) -> ScannerFindings:
        """Ask them all at once; never raises, waits at most for the deadline."""
        asked = []
        if self._options.clamd:
            asked.append(self._ask_clamd(facts))
        if self._rspamd is not None:
            asked.append(self._ask_rspamd(self._rspamd, facts))
        reasons: list[Reason] = []
        events: list[CheckDone] = []
        for name, result, told, found in await asyncio.gather(*asked):
            events.append(CheckDone(facts.now_ms, name, result, told, ()))
            reasons += found
        return ScannerFindings(tuple(reasons), tuple(events))

    async def _ask_clamd(self, facts: MessageFacts) -> _Answer:
        options = self._options
        found = await clamd.scan(
            options.clamd,
            facts.header,
            facts.body,
            deadline=options.deadline_ms / 1000,
            max_size=options.max_size,
        )
        if found.failure is not None:
            return self._failed("clamav", found.failure)
        if found.malware is not None:
            reason = make_reason("scan.malware", name=found.malware)
            return "clamav", "fail", reason.text, [reason]
        return "clamav", "pass", "ClamAV found no malware.", []

    async def _ask_rspamd(self, rspamd: Rspamd, facts: MessageFacts) -> _Answer:
        options = self._options
        found = await rspamd.ask(
            facts,
            deadline=options.deadline_ms / 1000,
            max_size=options.max_size,
        )
        if found.failure is not None:
            return self._failed("rspamd", found.failure)
        limit = options.rspamd_limit
        weight = round(max(-limit, min(limit, found.score * options.rspamd_factor)), 2)
        reason = make_reason("scan.rspamd", weight=weight, score=f"{found.score:g}")
        told = f"{reason.text} {', '.join(found.symbols)}".strip()
        return "rspamd", found.action or "done", told, [reason]

    def _failed(self, name: str, why: str) -> _Answer:
        reasons = [make_reason("scan.away", scanner=name, why=why)]
        if self._options.on_failure == "defer":
            reasons.append(make_reason("scan.deferred", scanner=name))
        return name, "not scanned", reasons[0].text, reasons


_Answer = tuple[str, str, str, list[Reason]]
"""Name, result, a sentence, reasons."""
