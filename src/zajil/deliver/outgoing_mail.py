"""One mail for one next hop: what an attempt is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from zajil.core.address import Address
from zajil.core.ids import BlobId
from zajil.smtp.grammar import ENHANCED_STATUS
from zajil.smtp.reply import Reply
from zajil.store.mail.append import Append
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.queue.queue import LeasedRecipient


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The recipients of one mail that share a domain or a relay; they share one transaction."""

    next_hop: str
    """ASCII domain or address literal, at a relay that of the first recipient; ``""``: mailboxes of
    ours."""
    recipients: tuple[LeasedRecipient, ...]
    """Never empty; all of one mail and of one claim."""
    body: BlobReader | None = None
    """The message, if it is small; ``None``: it is opened for the attempt."""

    @property
    def mail(self) -> LeasedRecipient:
        """The first recipient's row, for what is the same in all: sender, body, size."""
        return self.recipients[0]

    def only(self, recipients: Iterable[LeasedRecipient]) -> Outgoing:
        """The same mail for fewer recipients."""
        some = tuple(recipients)
        return self if len(some) == len(self.recipients) else replace(self, recipients=some)


def group_leased(
    claimed: Iterable[LeasedRecipient],
    bodies: Mapping[BlobId, BlobReader],
    hop_of: Callable[[str], str],
) -> list[tuple[str, Outgoing]]:
    """Put together what goes to one next hop in one mail; order is kept.

    Args:
        claimed: by one claim.
        bodies: messages that are in memory.
        hop_of: ``Transports.hop``: the same for all domains of a relay.
    """
    groups: dict[tuple[str, str], list[LeasedRecipient]] = {}
    for row in claimed:
        groups.setdefault((row.mail_id, hop_of(row.next_hop)), []).append(row)
    return [
        (hop, Outgoing(rows[0].next_hop, tuple(rows), bodies.get(rows[0].blob_id)))
        for (_, hop), rows in groups.items()
    ]


class AttemptOutcome(Enum):
    """What became of one recipient in one attempt."""

    DELIVERED = auto()
    """The next server took responsibility, or it lies in a mailbox of ours."""
    DEFERRED = auto()
    """Not now."""
    FAILED = auto()
    """Never."""
    EXPIRED = auto()
    """Given up, because it took too long."""
    UNTRIED = auto()
    """We stop, or lost nothing by not trying: it is due again at once."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A copy for a mailbox of ours, and why for this one."""

    account: Address
    mailbox_name: str
    reason: str
    """Why this mailbox, in a sentence."""
    copy: Append | None
    """``None``: it is that of another recipient, who leads to the same mailbox."""


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What became of one recipient, and who said so."""

    outcome: AttemptOutcome
    status: str
    """Enhanced status code (RFC 3463)."""
    diagnostic: str
    """The peer's reply, unchanged, or our own sentence."""
    remote_mta: str | None = None
    """Host that answered; ``None`` when none did."""
    reports: bool = False
    """The next server was told what the sender wants to hear of, and will see to it (DSN)."""
    filed: Filed | None = None
    """Delivered into a mailbox of ours: in the commit that settles this."""


Results = Mapping[LeasedRecipient, RecipientResult]


def deferred(status: str, sentence: str, remote_mta: str | None = None) -> RecipientResult:
    """Make the result of what may work later."""
    return RecipientResult(AttemptOutcome.DEFERRED, status, sentence, remote_mta)


def failed(status: str, sentence: str, remote_mta: str | None = None) -> RecipientResult:
    """Make the result of what will never work."""
    return RecipientResult(AttemptOutcome.FAILED, status, sentence, remote_mta)


def find_expired(outgoing: Outgoing, now_ms: int) -> dict[LeasedRecipient, RecipientResult]:
    """Return the results of what has exceeded its queue time (RFC 5321 section 4.5.4.1)."""
    return {
        claimed: RecipientResult(
            AttemptOutcome.EXPIRED, "5.4.7", claimed.reason or "no delivery attempt was made"
        )
        for claimed in outgoing.recipients
        if claimed.expires_ms <= now_ms
    }


def result_of(reply: Reply, remote_mta: str) -> RecipientResult:
    """Read a reply as the fate of a recipient: 2yz, 4yz, 5yz (RFC 5321 section 4.2.1).

    A reply of another kind is a fault of the peer, so: later.
    """
    kind = reply.code // 100
    outcome = {2: AttemptOutcome.DELIVERED, 5: AttemptOutcome.FAILED}.get(
        kind, AttemptOutcome.DEFERRED
    )
    return RecipientResult(outcome, _status_of(reply, outcome), str(reply), remote_mta)


def _status_of(reply: Reply, outcome: AttemptOutcome) -> str:
    """Return the peer's enhanced status code if it fits its reply code, else ``x.0.0``."""
    want = {AttemptOutcome.DELIVERED: "2", AttemptOutcome.FAILED: "5"}.get(outcome, "4")
    status = status_said(reply)
    return status if status[:1] == want else f"{want}.0.0"


def status_said(reply: Reply) -> str:
    """Return the enhanced status code of a reply, ``""`` where it has none (RFC 2034)."""
    match = ENHANCED_STATUS.match(reply.lines[0])
    return match["status"] if match else ""
