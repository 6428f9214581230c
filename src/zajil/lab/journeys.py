"""Journeys across the lab: both sides of one mail, joined by the id in the 250 reply.

Each domain knows only its own side. The lab reads all stores like `zajil journey show` and combines
the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from zajil.core.ids import MailId
from zajil.store.mail.tracking import FoundMail, MailQuery, find_mails, load_journey
from zajil.tracking.events import DsnSent
from zajil.tracking.journey import Journey, joined_mail_id

R = TypeVar("R")
Read = Callable[[Callable[[Any], R]], R]
"""``Store.read_now``: runs a query on a snapshot."""

_MOST_HALVES = 20
"""A mail to a long list goes to many servers; a page shows so many."""


@dataclass(frozen=True, slots=True)
class Half:
    """What one domain's server knows of a mail."""

    domain: str
    journey: Journey


@dataclass(frozen=True, slots=True)
class MailOfLab:
    """A mail that began in the lab, for a list."""

    domain: str
    """Whose server took it first."""
    mail: FoundMail


class LabJourneys:
    """Reads the journeys of all domains."""

    def __init__(self, reads: Mapping[str, Read[Any]]) -> None:
        """Take ``Store.read_now`` of each domain, by its name."""
        self._reads = reads

    def newest(self, limit: int = 50) -> list[MailOfLab]:
        """List mails, newest first; the second half of a journey is not listed by itself."""
        mails: list[MailOfLab] = []
        second: set[MailId] = set()
        for domain, read in self._reads.items():
            found = read(lambda conn: find_mails(conn, MailQuery(limit=limit)))
            mails += [MailOfLab(domain, mail) for mail in found]
            for mail in found:
                second.update(_joined(self._load(domain, mail.mail_id)))
        first = [mail for mail in mails if mail.mail.mail_id not in second]
        first.sort(key=lambda mail: mail.mail.at_ms, reverse=True)
        return first[:limit]

    def find(self, message_id: str) -> list[MailOfLab]:
        """Find mails of any domain by their Message-ID, oldest first."""
        query = MailQuery(message_id=message_id)
        mails = [
            MailOfLab(domain, mail)
            for domain, read in self._reads.items()
            for mail in read(lambda conn: find_mails(conn, query))
        ]
        return sorted(mails, key=lambda mail: mail.mail.at_ms)

    def halves(self, mail_id: MailId) -> list[Half]:
        """Return what every domain knows of a mail, and of the DSNs about it, in their order."""
        halves: list[Half] = []
        due, seen = [mail_id], {mail_id}
        while due and len(halves) < _MOST_HALVES:
            now = due.pop(0)
            for domain in self._reads:
                journey = self._load(domain, now)
                if journey is None:
                    continue
                halves.append(Half(domain, journey))
                due += [other for other in _joined(journey) if other not in seen]
                seen.update(due)
        return halves

    def _load(self, domain: str, mail_id: MailId) -> Journey | None:
        journey: Journey | None = self._reads[domain](lambda conn: load_journey(conn, mail_id))
        return journey


def _joined(journey: Journey | None) -> list[MailId]:
    """Return the ids under which a mail goes on elsewhere, and those of DSNs about it."""
    if journey is None:
        return []
    events = [recorded.event for recorded in journey.events]
    onward = [joined_mail_id(event) for event in events]
    reports = [MailId(event.dsn_mail_id) for event in events if isinstance(event, DsnSent)]
    return [mail_id for mail_id in [*onward, *reports] if mail_id is not None]
