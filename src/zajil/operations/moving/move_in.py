"""Move mail into an account: mailboxes are made, and each message is appended once.

It runs beside the server or without it; clients that are connected see the messages come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic

from zajil.core.actor import Actor
from zajil.core.ids import AccountId, MailboxId
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_admin, require_owner
from zajil.operations.labels import find_or_make_labels
from zajil.operations.moving.filing import Importer, origin_of
from zajil.operations.moving.model import (
    E,
    LabelPlace,
    MailSource,
    Moved,
    NoSource,
    Report,
    SourceMailbox,
    Unreadable,
)
from zajil.operations.moving.names import own_name, role_of
from zajil.store.engine.errors import StoreFull, StoreUnavailable
from zajil.store.engine.writer import Transaction
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.imported import Forgotten, find_imported, find_lost, forget_imported
from zajil.store.mail.mailbox_changes import NewMailbox, TooManyMailboxes, create_mailbox
from zajil.store.mail.mailboxes import find_mailbox, find_role
from zajil.store.mail.room import OverQuota
from zajil.store.mail.subscriptions import add_subscriptions
from zajil.store.mail.uploads import MailboxIsFull
from zajil.store.people.accounts import AccountRow
from zajil.tracking.audit import MessagesImported

_PORTION = 500
"""Messages whose keys are looked up at a time."""

Progress = Callable[[int, int], None]
"""Takes how much is done and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingChoice:
    """Which part of a source is moved, and how."""

    prefix: tuple[str, ...] = ()
    """Levels that are put in front of each mailbox's name; then no mailbox has a role."""
    only: tuple[str, ...] = ()
    """Mailboxes by name, with ``*`` for anything, and those below them; empty: all."""
    exclude: tuple[str, ...] = ()
    since_ms: int | None = None
    """Only messages that were received since."""
    dry_run: bool = False
    """Nothing is written."""
    ignore_quota: bool = False
    again: bool = False
    """Messages that came earlier, and that the account has no more, come again."""

    def takes(self, name: str) -> bool:
        """Return whether a mailbox is meant."""
        if matches(name, self.exclude):
            return False
        return not self.only or matches(name, self.only)


async def import_mail(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    source: MailSource[E],
    choice: MovingChoice,
    progress: Progress,
) -> Report:
    """Move the messages of a source into an account, without those that came earlier.

    Reading the source holds up the event loop: it is for the command line.

    Raises:
        NotAllowed: neither the owner nor an administrator asks; only the latter ignores a quota.
        NoSuchAccount: there is no such account.
        NoSource: nothing can be read.
        StoreUnavailable: what was committed by then stays; the next run goes on.
    """
    row = await context.read(lambda conn: find_account(conn, login_or_address))
    require_owner(actor, row.account_id)
    if choice.ignore_quota:
        require_admin(actor)
    report = Report()
    run = _Run(
        context=context,
        actor=actor,
        row=row,
        source=source,
        choice=choice,
        report=report,
        progress=progress,
    )
    try:
        await run.all()
    except BaseException:
        # What was moved by then stays; the error that ended the run is the one to be told.
        with suppress(StoreUnavailable):
            await run.record()
        raise
    await run.record()
    return report


@dataclass(slots=True, kw_only=True)
class _Run(Generic[E]):
    """One run of one source into one account."""

    context: OperationContext
    actor: Actor
    row: AccountRow
    source: MailSource[E]
    choice: MovingChoice
    report: Report
    progress: Progress
    _done: int = 0
    _total: int = 0
    _boxes: dict[tuple[str | None, str], MailboxId] = field(default_factory=dict)
    """By role and name."""
    _labels: dict[str, str] = field(default_factory=dict)
    """Keyword of each label's name; ``""``: it cannot be one."""

    async def all(self) -> None:
        found = self.source.mailboxes(self.report)
        wanted = [box for box in found if self.choice.takes(box.name)]
        for pattern in self.choice.only:
            if not any(matches(box.name, [pattern]) for box in found):
                self.report.leave_out(pattern, "the source has no such mailbox")
        roles = {} if self.choice.prefix else _choose_roles(wanted)
        self._total = sum([box.work for box in wanted])
        names: set[str] = set()
        for box in wanted:
            self.report.mailboxes += 1
            # Two may have one name here, and messages with the same keys in them.
            known_as = f"{box.name} ({box.place})" if box.name in names else box.name
            names.add(box.name)
            try:
                await self._mailbox(box, roles.get(box.name), known_as)
            except (Unreadable, TooManyMailboxes, NoSuchMailbox) as error:
                self.report.leave_out(box.name, str(error))
            except (OverQuota, MailboxIsFull, StoreFull, NoSource) as error:
                self.report.stopped = str(error)
                return

    async def record(self) -> None:
        """Note in the audit trail what was moved."""
        if self.choice.dry_run or not self.report.moved:
            return
        row, by = self.row, self.context.stamp(self.actor)

        def work(_tx: Transaction) -> Recorded[None]:
            count, place = self.report.moved, self.source.identity.replace("\0", "")
            return None, [MessagesImported(*by, row.account_id, row.login, count, place)]

        await self.context.change(work)

    async def _mailbox(self, box: SourceMailbox, role: str | None, known_as: str) -> None:
        known_as = known_as.encode("utf-8", "backslashreplace").decode("utf-8")
        origin = origin_of(self.row.account_id, self.source.identity, known_as)
        filing = Importer(
            context=self.context,
            origin=origin,
            report=self.report,
            ignore_quota=self.choice.ignore_quota,
            doubles=box.doubles,
        )
        home = None if self.choice.dry_run else await self._find(box, box.levels, role)
        entries = self.source.entries(box, self.report)
        try:
            for some in _portions(entries, _PORTION):
                fresh = await self._fresh(filing, some)
                if fresh and (home is not None or self.choice.since_ms is not None):
                    await self._take(filing, box, fresh, home)
                else:
                    self.report.moved += len(fresh)
                self._advance(sum([one.work for one in some]))
        finally:
            # What was read so far is kept, also where the rest cannot be read.
            if home is not None:
                await filing.commit()

    async def _fresh(self, filing: Importer, entries: Sequence[E]) -> list[E]:
        """Return those of the entries that did not come earlier."""
        origin, keys = filing.origin, [one.key for one in entries]
        known = await self.context.read(lambda conn: find_imported(conn, origin, keys))
        if self.choice.again and known and not self.choice.dry_run:
            lost = await self.context.read(lambda conn: find_lost(conn, origin, sorted(known)))
            await self.context.write(forget_imported, Forgotten(origin, tuple(lost)))
            known -= lost
        self.report.known += len(known)
        return [one for one in entries if one.key not in known]

    async def _take(
        self, filing: Importer, box: SourceMailbox, entries: Sequence[E], home: MailboxId | None
    ) -> None:
        for entry, moved in self.source.read(box, entries):
            since = self.choice.since_ms
            if since is not None and (moved.received_at_ms or since) < since:
                continue
            if home is None:
                self.report.moved += 1
                continue
            try:
                target = home if moved.place is None else await self._place(box, moved.place)
                await filing.add(entry.key, await self._labelled(moved), target)
            except Unreadable as error:
                self.report.leave_out(entry.label, str(error))

    async def _place(self, box: SourceMailbox, place: LabelPlace) -> MailboxId:
        return await self._find(box, place.levels, None if self.choice.prefix else place.role)

    async def _labelled(self, moved: Moved) -> Moved:
        """Give a message the keywords of its labels, which the account gets as well."""
        names = () if moved.place is None else moved.place.labels
        if not names:
            return moved
        new = [one for one in names if one not in self._labels]
        if new:
            login = self.row.login
            found = await find_or_make_labels(self.context, self.actor, login, new)
            self._labels.update({name: found.get(name, "") for name in new})
            for name in new:
                if name not in found:
                    self.report.leave_out(f"label {name}", "the account cannot have this label")
        keywords = {self._labels[one] for one in names} - {""}
        return Moved(
            flags=moved.flags | keywords,
            received_at_ms=moved.received_at_ms,
            pieces=moved.pieces,
            size=moved.size,
            place=moved.place,
        )

    async def _find(self, box: SourceMailbox, levels: Sequence[str], role: str | None) -> MailboxId:
        """Return the mailbox for a mailbox of the source; made where it is missing."""
        name = own_name(levels, self.choice.prefix)
        if (role, name) not in self._boxes:
            item = _Wanted(
                self.row.account_id,
                name,
                role,
                box.subscribed,
                self.context.clock.now_ms(),
                self.context.store.caps.mailboxes,
            )
            mailbox_id, is_new = await self.context.write(_find_or_make, item)
            self.report.created += is_new
            self._boxes[role, name] = mailbox_id
        return self._boxes[role, name]

    def _advance(self, work: int) -> None:
        self._done += work
        self.progress(min(self._done, self._total), self._total)


# ---- inside -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    account_id: AccountId
    name: str
    role: str | None
    subscribed: bool
    now_ms: int
    most: int


def _find_or_make(tx: Transaction, items: Sequence[_Wanted]) -> list[tuple[MailboxId, bool]]:
    done = []
    for item in items:
        box = None if item.role is None else find_role(tx, item.account_id, item.role)
        box = box or find_mailbox(tx, item.account_id, item.name)
        if box is not None:
            done.append((box.mailbox_id, False))
            continue
        new = NewMailbox(item.account_id, item.name, item.now_ms, item.most)
        (made,) = create_mailbox(tx, [new])
        if item.subscribed:
            add_subscriptions(tx, item.account_id, [item.name])
        done.append((made, True))
    return done


def _choose_roles(boxes: Sequence[SourceMailbox]) -> dict[str, str]:
    """Return the role of each mailbox that has one; of several for one role, one gets it."""
    told = {box.role for box in boxes if box.role is not None}
    candidates = []
    for box in boxes:
        role = box.role or role_of(box.levels)
        if role is not None and (box.role is not None or role not in told):
            candidates.append((role, box))
    best: dict[str, SourceMailbox] = {}
    for role, box in candidates:
        if role not in best or box.work > best[role].work:
            best[role] = box
    return {box.name: role for role, box in best.items()}


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a pattern, with ``*`` for anything, means a mailbox or one above it."""
    for pattern in patterns:
        # Not fnmatch: [Gmail] is a name.
        parts = map(re.escape, pattern.casefold().rstrip("/").split("*"))
        if re.fullmatch(f"{'.*'.join(parts)}(?:/.*)?", name.casefold(), re.DOTALL):
            return True
    return False


def _portions(entries: Iterator[E], size: int) -> Iterator[list[E]]:
    while some := list(islice(entries, size)):
        yield some
