"""What our own people did with the mail of a correspondent, and what that says of the next one.

Two views of the same history (``store.feedback.reputation``): that of an account, whose own deeds
count strongly and for it alone, and that of the installation, where each account has one voice, and
some must agree before anybody else is concerned. Whose history it is, ``correspondent`` decides.

Everything is answered from memory where it was asked a moment ago, and what is missing is one read.
Where nobody has done anything yet, nothing is asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from zajil.check.learned.trainer import Learner
from zajil.check.learned.voices import learn
from zajil.check.sender.correspondent import Correspondent, identify_stored
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.core.clock import Clock
from zajil.core.feedback import FeedbackKind
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.message.fields import Field, read_fields, split_message
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.feedback.reputation import (
    HISTORY,
    INSTALLATION,
    NOTHING,
    CorrespondentCounts,
    Did,
    Forgetting,
    HistoryChange,
    find_too_many,
    forget,
    is_anything_known,
    load_counts,
)
from zajil.store.feedback.training_queue import Feedback

_KEPT_MS = 60_000
"""How long a count is believed; what somebody judged by hand is known at once (``HISTORY``)."""
_MOST_KEPT = 50_000
"""Counts in memory, per worker: a flood of made-up senders pushes out the oldest."""
_SEEN_AGAIN = 0.8
"""What was seen is written anew when it has faded to this: after a month."""
_SEEN_PER_MINUTE = 600
"""New correspondents that one worker writes down in a minute: a flood must not fill the store."""

_VOICES = 3.0
"""So many accounts must agree, less what has faded, before others are concerned."""
_TRUST = 2.0
_SOME = 0.4
"""Less than this is left of one deed after four months: it decides nothing any more."""
_OFTEN = 2.5
"""Three times, the first of them a while ago."""


@value_class(frozen=True, slots=True)
class HistoryFound:
    """What history says of one mail."""

    for_all: tuple[Reason, ...] = ()
    by_account: Mapping[AccountId, tuple[Reason, ...]] = field(default_factory=dict)
    """Accounts that have a history of their own with the correspondent."""
    known_by: frozenset[AccountId] = frozenset()
    """Accounts that had a proven mail of this author before, or wrote to it; for who looks for
    pretenders. To all others it is a first contact."""
    is_known_good: bool = False
    """Somebody here knows the correspondent or its network well: it need not knock twice."""


NO_HISTORY = HistoryFound()


class History:
    """The memory of one worker."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[tuple[AccountId, str], tuple[CorrespondentCounts, int]] = (
            OrderedDict()
        )
        """Counts, and until when they are believed; the last used at the end."""
        self._empty_until_ms = 0
        """Nothing is recorded at all, as far as is known."""
        self._seen_minute = (0, 0)
        """Number of the minute, and how many were written down in it."""
        store.changes.subscribe(HISTORY, self.forget_all)

    def forget_all(self) -> None:
        """Read everything anew."""
        self._known.clear()
        self._empty_until_ms = 0

    async def judge(
        self, correspondent: Correspondent, accounts: Iterable[AccountId]
    ) -> HistoryFound:
        """Return what is known of who sent a mail.

        Waits for the store where memory does not know. Never raises: without a store there is no
        history.
        """
        keys = correspondent.keys
        whose = (INSTALLATION, *accounts)
        now_ms = self._clock.now_ms()
        if not keys or now_ms < self._empty_until_ms:
            return NO_HISTORY
        missing = [
            (account, key)
            for key in keys
            for account in whose
            if self._known.get((account, key), _STALE)[1] <= now_ms
        ]
        try:
            if missing and not await self._fetch(missing, now_ms):
                return NO_HISTORY
        except StoreUnavailable:
            return NO_HISTORY
        return weigh(
            correspondent,
            {
                (account, key): self._known.get((account, key), _STALE)[0]
                for account in whose
                for key in keys
            },
            whose[1:],
        )

    def remember_seen(self, correspondent: Correspondent, accounts: Iterable[AccountId]) -> None:
        """Note who got a mail into a mailbox other than Junk; nobody waits for it.

        To be called after the commit. It writes once a month for each pair.
        """
        now_ms = self._clock.now_ms()
        keys = correspondent.lasting_keys
        for account in accounts:
            new = tuple(
                [
                    key
                    for key in keys
                    if self._known.get((account, key), _STALE)[0].seen < _SEEN_AGAIN
                ]
            )
            if new and self._may_write(now_ms):
                self._write(HistoryChange(account, new, Did.SEEN, now_ms))
                for key in new:
                    self._keep((account, key), CorrespondentCounts(seen=1.0), now_ms)

    def learn(
        self, account_id: AccountId, fields: Sequence[Field], authserv_id: str, did: Did
    ) -> None:
        """Learn what an account did with a mail that lies in one of its mailboxes.

        Args:
            account_id: whose deed it is.
            fields: of the stored message, with those that we wrote on top of it.
            authserv_id: our name in Authentication-Results.
            did: what was done.
        """
        lesson = lesson_of(account_id, fields, authserv_id, did, self._clock.now_ms())
        if lesson is not None:
            self._write(lesson)

    # ---- inside -----------------------------------------------------------------------------

    async def _fetch(self, missing: Sequence[tuple[AccountId, str]], now_ms: int) -> bool:
        """Read counts into memory; false: nothing is recorded at all."""
        accounts = {account for account, _ in missing}
        keys = {key for _, key in missing}
        found, anything = await self._store.read(
            lambda conn: (
                counts := load_counts(conn, accounts, keys, now_ms),
                bool(counts) or is_anything_known(conn),
            )
        )
        if not anything:
            self._empty_until_ms = now_ms + _KEPT_MS
            return False
        for pair in missing:
            self._keep(pair, found.get(pair, NOTHING), now_ms)
        return True

    def _keep(self, pair: tuple[AccountId, str], counts: CorrespondentCounts, now_ms: int) -> None:
        self._known[pair] = (counts, now_ms + _KEPT_MS)
        self._known.move_to_end(pair)
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)

    def _write(self, lesson: HistoryChange) -> None:
        self._empty_until_ms = 0
        self._store.write_later(learn, lesson)

    def _may_write(self, now_ms: int) -> bool:
        minute, count = self._seen_minute
        if minute != now_ms // 60_000:
            minute, count = now_ms // 60_000, 0
        self._seen_minute = (minute, count + 1)
        return count < _SEEN_PER_MINUTE


_STALE = (NOTHING, 0)


def lesson_of(
    account_id: AccountId,
    fields: Sequence[Field],
    authserv_id: str,
    did: Did,
    now_ms: int,
) -> HistoryChange | None:
    """Return what a deed teaches, for ``voices.learn``; ``None``: nothing.

    Nothing is learned of mail whose author is not proven and whose network is not known: it did
    not come from outside, or not by us.
    """
    keys = identify_stored(fields, authserv_id).keys
    return HistoryChange(account_id, keys, did, now_ms) if keys else None


_DEEDS = {
    FeedbackKind.JUNK: Did.JUNKED,
    FeedbackKind.NOT_JUNK: Did.KEPT,
    FeedbackKind.REPLIED: Did.WRITTEN,
    FeedbackKind.UNSAID_JUNK: Did.UNJUNKED,
    FeedbackKind.UNSAID_NOT_JUNK: Did.UNKEPT,
}


def learner_of(history: History, authserv_id: str) -> Learner:
    """Return what the trainer tells of each move: who sent the mail, and what was done with it."""

    async def hear(said: Feedback, head: bytes) -> None:
        did = _DEEDS.get(said.kind)
        if did is not None and head:
            fields = read_fields(head[: split_message(head)[0]])
            history.learn(said.account_id, fields, authserv_id, did)

    return hear


async def forget_history(store: Store, now_ms: int) -> None:
    """Forget what has faded, and what is too much: upkeep, once in a while.

    Raises:
        StoreUnavailable: the next time will do.
    """
    too_many = await store.read(find_too_many)
    await store.write(forget, Forgetting(now_ms, too_many))


# ---- what follows from counts ----------------------------------------------------------------

_Counts = Mapping[tuple[AccountId, str], CorrespondentCounts]


def weigh(
    correspondent: Correspondent, counts: _Counts, accounts: Sequence[AccountId]
) -> HistoryFound:
    """Return what follows from the counts for everybody, and for each account. Pure."""
    if all([one is NOTHING for one in counts.values()]):
        return NO_HISTORY
    by_account = {
        account: reasons
        for account in accounts
        if (reasons := _own_reasons(correspondent, account, counts))
    }
    return HistoryFound(
        _common_reasons(correspondent, counts),
        by_account,
        _known_by(correspondent, counts, accounts),
        _is_known_good(correspondent, counts, accounts),
    )


def _of(counts: _Counts, account: AccountId, key: str | None) -> CorrespondentCounts:
    return NOTHING if key is None else counts.get((account, key), NOTHING)


def _own_reasons(
    correspondent: Correspondent, account: AccountId, counts: _Counts
) -> tuple[Reason, ...]:
    """Weigh what the account itself did, with this author first, else with its domain."""
    who = correspondent.address or ""
    author = _of(counts, account, correspondent.address_key or correspondent.claimed_key)
    reasons: list[Reason] = []
    if author.junked >= _SOME:
        name = "history.often-junked-by-you" if author.junked >= _OFTEN else "history.junked-by-you"
        reasons.append(make_reason(name, address=who))
    elif author.written >= _SOME:
        reasons.append(make_reason("history.written-by-you", address=who))
    if author.kept >= _SOME:
        reasons.append(make_reason("history.kept-by-you", address=who))
    if reasons:
        return tuple(reasons)
    domain = _of(counts, account, correspondent.domain_key)
    if domain.junked >= _OFTEN and domain.junked > 2 * (domain.kept + domain.written):
        return (make_reason("history.domain-junked-by-you", domain=_name(correspondent)),)
    return ()


def _common_reasons(correspondent: Correspondent, counts: _Counts) -> tuple[Reason, ...]:
    """Weigh the voices of all accounts; the most exact thing they agree on is said, once."""
    for key, name in (
        (correspondent.address_key, "history.junked-by-many"),
        (correspondent.domain_key, "history.domain-junked"),
        (correspondent.spf_key, "history.domain-junked"),
        (correspondent.network_key, "history.network-junked"),
    ):
        voices = _of(counts, INSTALLATION, key)
        if key is not None and is_bad(voices):
            subject = correspondent.address if key == correspondent.address_key else None
            return (
                make_reason(name, who=subject or key.partition(":")[2], count=round(voices.junked)),
            )
    for key in (correspondent.address_key, correspondent.domain_key):
        if key is not None and is_good(_of(counts, INSTALLATION, key)):
            return (make_reason("history.written-by-many", who=_name(correspondent)),)
    return ()


def is_bad(voices: CorrespondentCounts) -> bool:
    """Whether so many accounts moved such mail to Junk that it concerns the others.

    Security: some accounts of a spammer cannot ruin the name of somebody whom many know: at least
    half of those who know it must agree.
    """
    for_it = max(voices.seen - voices.junked, 0.0) + voices.kept + voices.written
    return voices.junked >= _VOICES - _SOME and voices.junked >= for_it


def is_good(voices: CorrespondentCounts) -> bool:
    """Whether several accounts write to it, and nearly nobody minds its mail."""
    return voices.written >= _TRUST - _SOME and voices.junked < voices.written / 4


def _known_by(
    correspondent: Correspondent, counts: _Counts, accounts: Sequence[AccountId]
) -> frozenset[AccountId]:
    return frozenset(
        [
            account
            for account in accounts
            if _of(counts, account, correspondent.address_key) != NOTHING
        ]
    )


def _is_known_good(
    correspondent: Correspondent, counts: _Counts, accounts: Sequence[AccountId]
) -> bool:
    own = [_of(counts, account, correspondent.claimed_key) for account in accounts]
    if any([one.kept >= _SOME and one.junked < _SOME for one in own]):
        return True
    network = _of(counts, INSTALLATION, correspondent.network_key)
    return network.seen >= _VOICES and network.junked < network.seen / 4


def _name(correspondent: Correspondent) -> str:
    return (correspondent.domain_key or "").partition(":")[2]
