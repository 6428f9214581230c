"""What DNS said of a sender a moment ago: its SPF results, and the DMARC policies of its authors.

A server brings many mails of one domain. SPF and the policies are the same for all of them, and
asking is half the work of checking a mail; signatures differ with each mail and are not kept.

Laws:
- Nothing is believed for longer than the shortest TTL of the answers it rests on, or than
  ``KEPT_MS``.
- What rests on a question that failed is not kept.
- Nor is what another mail with the same key could not have: a record that asks for the local part
  of the sender (``SpfFound.is_personal``).
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from zajil.check.facts import MessageFacts
from zajil.check.memory import Memory
from zajil.dns.flow import Answer, Flow, Outcome
from zajil.mailauth.spf import SpfFound
from zajil.mailauth.tree_walk import RecordBook

T = TypeVar("T")

KEPT_MS = 5000
"""DNS answers live longer; an operator who changes a record does not wait for us."""
_MOST = 1000
_MOST_TEXT = 4000
"""Characters of one entry (attack: long records of many domains must not fill the memory)."""


class SenderKey(NamedTuple):
    """What SPF and the policies depend on, beside DNS and the local part."""

    host: str
    """Address of the peer."""
    claimed_name: str
    """SPF checks it, and a record may ask for it."""
    domain: str | None
    """Of the reverse path; ``None``: the null path."""
    authors: tuple[str, ...]


class KnownSender(NamedTuple):
    """What was found."""

    book: RecordBook
    """Nobody adds to it: each mail takes a copy."""
    spf: tuple[SpfFound, ...]
    """Of MAIL FROM, then of HELO; without a peer, none."""


SenderMemory = Memory[SenderKey, KnownSender]


def make_sender_memory() -> SenderMemory:
    """Return an empty memory for one worker."""
    return Memory(KEPT_MS, _MOST)


def key_of(facts: MessageFacts, authors: tuple[str, ...]) -> SenderKey:
    """Return the key of a mail."""
    path, peer = facts.reverse_path, facts.peer
    return SenderKey(
        "" if peer is None else peer.host,
        facts.claimed_name,
        None if path is None else path.domain,
        authors,
    )


class Watch:
    """Sees the answers that flows get, to know how long what they find may be kept."""

    def __init__(self) -> None:
        self.ttl_seconds = KEPT_MS // 1000
        """The shortest of all; 0 if a question failed."""

    def over(self, flow: Flow[T]) -> Flow[T]:
        """Return the same flow, seen."""
        try:
            question = next(flow)
            while True:
                answer = yield question
                self._see(answer)
                question = flow.send(answer)
        except StopIteration as stop:
            found: T = stop.value
            return found

    def _see(self, answer: Answer) -> None:
        is_known = answer.outcome is not Outcome.FAILED
        self.ttl_seconds = min(self.ttl_seconds, answer.ttl_seconds if is_known else 0)


def remember(
    memory: SenderMemory,
    key: SenderKey,
    now_ms: int,
    found: KnownSender,
    watch: Watch,
) -> None:
    """Keep what was found, if the next mail may have it."""
    if not any([one.is_personal for one in found.spf]) and _length(key, found) <= _MOST_TEXT:
        kept = KnownSender(found.book.copy(), found.spf)
        memory.put(key, kept, now_ms, watch.ttl_seconds)


def _length(key: SenderKey, found: KnownSender) -> int:
    texts = [key.claimed_name, *key.authors, *found.book.inputs]
    for one in found.spf:
        texts += [one.reason, one.explanation or "", *one.inputs]
    return sum(map(len, texts))
