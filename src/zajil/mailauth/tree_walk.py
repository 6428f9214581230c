"""The DNS Tree Walk: whose record counts, and which names belong together.

RFC 9989 section 4.10.

Laws:
- A walk asks for the records of at most eight names, whatever the number of labels.
- No name is asked for twice in one mail: several walks share a ``RecordBook``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zajil.core.errors import InternalError
from zajil.dns.flow import Answer, Flow, Outcome, Question
from zajil.mailauth.dmarc_record import DmarcRecord, parse_dmarc_record

MAX_LABELS = 8
"""More than this, and the walk jumps to seven (RFC 9989 section 4.10)."""

_INPUT_SIZE = 300


class RecordFound(NamedTuple):
    """A record, and the domain it speaks of."""

    domain: str
    record: DmarcRecord


class WalkFailed(InternalError):
    """DNS gave no answer for a name on the way; never leaves ``mailauth.dmarc``."""


class RecordBook:
    """The records that were asked for on behalf of one mail."""

    def __init__(self) -> None:
        self._known: dict[str, DmarcRecord | None] = {}
        self._failed: set[str] = set()
        self.inputs: list[str] = []
        """Answers as lines, for the journey."""

    def copy(self) -> RecordBook:
        """Return a book that knows the same, for another mail."""
        other = RecordBook()
        other._known = self._known.copy()
        other._failed = self._failed.copy()
        other.inputs = self.inputs.copy()
        return other

    def look_up(self, domain: str) -> Flow[DmarcRecord | None]:
        """Return the record at ``_dmarc.`` of a domain; several are none (RFC 9989 section 4.10).

        Raises:
            WalkFailed: it is not known whether there is one.
        """
        if domain not in self._known:
            self._known[domain] = yield from self._ask(domain)
        if domain in self._failed:
            raise WalkFailed(domain)
        return self._known[domain]

    def _ask(self, domain: str) -> Flow[DmarcRecord | None]:
        name = f"_dmarc.{domain}"
        if len(name) > 253:  # no name for DNS, so there is nothing
            return None
        answer = yield Question(name, "TXT")
        self.note(answer)
        if answer.outcome is Outcome.FAILED:
            self._failed.add(domain)
        found = [record for text in answer.values if (record := parse_dmarc_record(text))]
        return found[0] if len(found) == 1 else None

    def note(self, answer: Answer) -> None:
        """Keep an answer for the journey."""
        self.inputs.append(str(answer)[:_INPUT_SIZE])


def walk_names(domain: str) -> list[str]:
    """Return the names a walk from this domain looks at, longest first."""
    labels = domain.split(".")
    names = [domain]
    rest = labels[1:] if len(labels) < MAX_LABELS else labels[1 - MAX_LABELS :]
    while rest:
        names.append(".".join(rest))
        rest = rest[1:]
    return names


def walk_tree(domain: str, book: RecordBook) -> Flow[tuple[RecordFound, ...]]:
    """Return the records on the way up from a domain, longest name first.

    Raises:
        WalkFailed: the answer for one of the names is missing.
    """
    found: list[RecordFound] = []
    for name in walk_names(domain):
        record = yield from book.look_up(name)
        if record is not None:
            found.append(RecordFound(name, record))
            if record.psd != "u":
                break
    return tuple(found)


def organizational_domain(domain: str, found: Sequence[RecordFound]) -> str:
    """Choose the organizational domain of the one the walk began at (RFC 9989 section 4.10.2)."""
    if not found:
        return domain
    last = found[-1]  # the walk ends at the first record that says what it is
    if last.record.psd == "y" and last.domain != domain:
        labels = domain.split(".")
        return ".".join(labels[-(last.domain.count(".") + 2) :])
    return last.domain
