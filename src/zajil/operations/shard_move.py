"""Move an account to another shard while mail arrives (decision 0020)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.shards import configuration_of
from zajil.core.actor import Actor
from zajil.core.address import Address
from zajil.core.errors import Refused
from zajil.core.ids import AccountId, BlobId
from zajil.core.password import IN_DIRECTORY
from zajil.core.value_class import value_class
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.operations.run import Runner, open_admin_store, open_runner
from zajil.operations.shards import shard_of_subject
from zajil.store.engine.dialect import Progress
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.people.accounts import AccountRow, NewActive, set_active
from zajil.store.people.aliases import aliases_to
from zajil.store.people.delegations import delegated_to, delegates_of
from zajil.store.people.domain_admins import administered_by
from zajil.store.people.identities import LDAP, identities_of
from zajil.store.restore.messages import present_blobs
from zajil.store.shards.catalogue import (
    NewPlace,
    Places,
    home_of_login,
    load_places,
    require_shard,
)
from zajil.store.shards.move import (
    Emptying,
    Incoming,
    Undone,
    blobs_of_account,
    empty_account,
    is_emptied,
    put_copied_blobs,
    receive_account,
    remove_copy,
    require_free,
    shared_with_others,
    stage_copies,
)
from zajil.store.shards.moves import Move, MoveStep, OnItsWay, Switch, end_move, find_move, put_move
from zajil.store.shards.moves import switch as switch_places
from zajil.store.shards.rows import Digests
from zajil.tracking.audit import AccountMoved

Stage = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of one part of the work, under its name."""

HEARD_SECONDS = 1.5
"""Workers look at the catalogue once a second, if a hint was lost."""
_WORK = "account move"
"""Two at once could take an older copy of an account for the newer one."""
_TRIES = 5
"""Copies of the rows, where something still changed meanwhile."""
_BATCH_BYTES = 8 << 20
_BATCH_BLOBS = 200


class RightsLost(Refused):
    """A move takes rights away that do not work between shards; the text names them."""


class StillChanges(Refused):
    """The account is not at rest although it is suspended; the move can be tried again."""


@value_class(frozen=True, slots=True, kw_only=True)
class MovedAccount:
    """An account that was moved."""

    address: Address
    from_shard: str
    to_shard: str
    messages: int
    """Different ones, deleted ones included."""
    copied: int
    """Of these, how many this call copied: the rest was there from one that was interrupted."""
    lost: tuple[str, ...]
    """Sentences: what did not go along."""


def move_account(
    configuration: Configuration,
    who: str,
    to: str,
    stage: Stage,
    *,
    drops_rights: bool = False,
    wait: Callable[[float], object] = time.sleep,
) -> MovedAccount:
    """Move an account, or go on with a move that was interrupted.

    Args:
        configuration: of the server.
        who: login name or address.
        to: name of the shard.
        stage: shows the progress.
        drops_rights: also if rights are lost.
        wait: for a number of seconds.

    Raises:
        NoSuchAccount: nobody has the name.
        NoSuchShard, UnknownShard: there is no such shard.
        OnItsWay: it is being moved to another shard, or was moved minutes ago.
        RightsLost, CannotMove: nothing was changed.
        StillChanges: the account stays suspended; try again, or undo it.
        WrongUser, StoreUnavailable: try again, or undo it. ``StoreInUse``: another one runs.
    """
    configuration_of(configuration, to)
    with open_runner(configuration) as runner, runner.store.working_alone(_WORK):
        move = _begin(configuration, runner, who, to, drops_rights=drops_rights)
        with _opened(configuration, runner, move) as (source, target):
            row = source.read_now(lambda conn: find_account(conn, move.address_key))
            lost = source.read_now(partial(find_lost, account=row))
            mover = _Mover(runner, source, target, move, stage, wait)
            mover.run(row)
            return MovedAccount(
                address=row.address,
                from_shard=move.from_shard,
                to_shard=move.to_shard,
                messages=mover.messages,
                copied=mover.copied,
                lost=tuple(lost),
            )


def undo_move(configuration: Configuration, who: str) -> Move:
    """Give a move up: the account works in its old shard again. Copied bytes are removed later.

    Raises:
        NoSuchAccount: nobody has the name.
        OnItsWay: it is not being moved, or too far to be undone.
        WrongUser, StoreUnavailable: the databases cannot be used.
    """
    with open_runner(configuration) as runner, runner.store.working_alone(_WORK):
        row = _find(configuration, runner, who)[1]
        move = runner.read(lambda conn: find_move(conn, row.account_id))
        is_over = move is None or move.step not in (MoveStep.COPYING, MoveStep.HOLDING)
        if move is None or is_over:
            state = "is not being moved" if move is None else "is in its new shard already"
            raise OnItsWay(f"{row.address.unicode} {state}: there is nothing to undo")
        with _opened(configuration, runner, move) as (source, target):
            if source.read_now(partial(is_emptied, row=row)):
                text = "is in its new shard already: there is nothing to undo"
                raise OnItsWay(f"{row.address.unicode} {text}")
            blob_ids = source.read_now(partial(blobs_of_account, account_id=row.account_id))
            target.write_now(remove_copy, Undone(row.account_id, tuple(blob_ids)))
            source.write_now(set_active, NewActive(row.account_id, active=move.was_active))
            runner.store.write_now(end_move, move.address_key)
    return move


def find_lost(conn: Snapshot, account: AccountRow) -> list[str]:
    """Return sentences about what does not go along with an account."""
    lost = [
        f"it may send as {one.unicode}, an address of another account"
        for one in delegated_to(conn, account.account_id)
    ]
    lost += [
        f"{login} may send as {one.unicode}" for one, login in delegates_of(conn, [account.address])
    ]
    lost += [
        f"it may send as the alias {alias.address.unicode}, which still leads to it"
        for alias in aliases_to(conn, account.address)
        if not alias.address.is_catch_all
    ]
    lost += [f"it administers {one}" for one in sorted(administered_by(conn, account.account_id))]
    lost += shared_with_others(conn, account.account_id)
    return lost


def _begin(
    configuration: Configuration, runner: Runner, who: str, to: str, *, drops_rights: bool
) -> Move:
    """Return the move that was begun before, or begin it."""
    shard, row = _find(configuration, runner, who)
    name = row.address.unicode
    known = runner.read(lambda conn: find_move(conn, row.account_id))
    if known is not None:
        if known.step is MoveStep.SWITCHED:
            raise OnItsWay(
                f"{name} was moved to {known.to_shard} a moment ago; it can be moved again in "
                "some minutes, while the server runs"
            )
        if known.to_shard != to:
            raise OnItsWay(f"{name} is being moved to {known.to_shard}: finish that, or undo it")
        if (known.address_key, known.login) != (row.address.key, row.login):  # renamed meanwhile
            known = replace(known, address_key=row.address.key, login=row.login)
            runner.store.write_now(put_move, known)
        return known
    runner.read(lambda conn: require_shard(conn, to))
    if shard == to:
        raise OnItsWay(f"{name} is in the shard {to} already")
    move = Move(
        address_key=row.address.key,
        login=row.login,
        account_id=row.account_id,
        from_shard=shard,
        to_shard=to,
        step=MoveStep.COPYING,
        was_active=row.active,
        since_ms=runner.context.clock.now_ms(),
    )
    with _opened(configuration, runner, move) as (source, target):
        _refuse(source, target, row, drops_rights=drops_rights)
    runner.store.write_now(put_move, move)
    return move


def _refuse(source: Store, target: Store, row: AccountRow, *, drops_rights: bool) -> None:
    """Raise why an account cannot be moved, if it cannot."""
    known = source.read_now(lambda conn: identities_of(conn, row.account_id))
    if row.password_hash == IN_DIRECTORY or any(one.source == LDAP for one in known):
        raise Refused(f"{row.address.unicode} comes from the directory, which fills main only")
    target.read_now(lambda conn: require_free(conn, row.login, row.address.key))
    lost = source.read_now(partial(find_lost, account=row))
    if lost and not drops_rights:
        raise RightsLost(
            f"{row.address.unicode} would lose rights that do not work between shards: "
            f"{'; '.join(lost)}. Use --drop-rights to move it without them"
        )


def _find(configuration: Configuration, runner: Runner, who: str) -> tuple[str, AccountRow]:
    places = runner.read(load_places)
    shard = shard_of_subject(places, who) or MAIN_SHARD
    with _store_of(configuration, runner, shard) as store:
        return shard, store.read_now(lambda conn: find_account(conn, who))


@contextmanager
def _store_of(configuration: Configuration, runner: Runner, shard: str) -> Iterator[Store]:
    if shard == MAIN_SHARD:
        yield runner.store
        return
    with open_admin_store(configuration_of(configuration, shard)) as store:
        yield store


@contextmanager
def _opened(
    configuration: Configuration, runner: Runner, move: Move
) -> Iterator[tuple[Store, Store]]:
    with ExitStack() as stack:
        source, target = (
            stack.enter_context(_store_of(configuration, runner, shard))
            for shard in (move.from_shard, move.to_shard)
        )
        yield source, target


class _Mover:
    """One move, step by step; each can be repeated."""

    def __init__(
        self,
        runner: Runner,
        source: Store,
        target: Store,
        move: Move,
        stage: Stage,
        wait: Callable[[float], object],
    ) -> None:
        self._runner = runner
        self._source = source
        self._target = target
        self._move = move
        self._stage = stage
        self._wait = wait
        self.messages = self.copied = 0

    def run(self, row: AccountRow) -> None:
        """Do what is left of it."""
        if self._move.step is MoveStep.COPYING:
            self._copy_bytes("copying messages")
            self._reach(MoveStep.HOLDING)
            # Whoever is logged out in a moment is told to come again, and not of a wrong password.
            self._wait(HEARD_SECONDS)
        if self._move.step is MoveStep.HOLDING:
            # A call that ended before it could say so may have emptied the account.
            if not self._source.read_now(partial(is_emptied, row=row)):
                self._source.write_now(set_active, NewActive(row.account_id, active=False))
                self._copy_the_rest()
            self._reach(MoveStep.EMPTIED)
        if self._move.was_active:
            self._target.write_now(set_active, NewActive(row.account_id, active=True))
        self._runner.run(_switch, self._move)

    def _reach(self, step: MoveStep) -> None:
        self._move = replace(self._move, step=step)
        self._runner.store.write_now(put_move, self._move)

    def _copy_the_rest(self) -> None:
        account_id = self._move.account_id
        for _ in range(_TRIES):
            self._copy_bytes("copying what came meanwhile")
            try:
                copied = self._copy_rows(account_id)
            except NoSuchBlob:
                continue  # a mail came between the two
            if self._source.write_now(empty_account, Emptying(account_id, copied)):
                return
        raise StillChanges(
            f"the account {self._move.login} still changes although it is suspended: run the "
            "command again, or undo it with --undo"
        )

    def _copy_rows(self, account_id: AccountId) -> Digests:
        return self._source.read_now(
            lambda conn: self._target.write_now(receive_account, Incoming(conn, account_id))
        )

    def _copy_bytes(self, title: str) -> None:
        """Copy the blobs that the new shard does not have."""
        sizes = self._source.read_now(partial(blobs_of_account, account_id=self._move.account_id))
        there = self._target.read_now(partial(present_blobs, blob_ids=set(sizes)))
        missing = [one for one in sizes if one not in there]
        self.messages = len(sizes)
        with self._stage(title) as progress:
            for done, some in _batches(missing, sizes):
                self._copy_batch(some)
                progress(done, len(missing))
        self.copied += len(missing)

    def _copy_batch(self, blob_ids: Sequence[BlobId]) -> None:
        blobs = self._source.blobs, self._target.blobs
        copied = self._source.read_now(lambda conn: stage_copies(conn, *blobs, blob_ids))
        self._target.write_now(put_copied_blobs, copied)


def _batches(
    blob_ids: Sequence[BlobId], sizes: dict[BlobId, int]
) -> Iterator[tuple[int, list[BlobId]]]:
    """Yield blobs for one commit each, and how many there were so far."""
    batch: list[BlobId] = []
    size = 0
    for number, blob_id in enumerate(blob_ids):
        if batch and (len(batch) == _BATCH_BLOBS or size + sizes[blob_id] > _BATCH_BYTES):
            yield number, batch
            batch, size = [], 0
        batch.append(blob_id)
        size += sizes[blob_id]
    if batch:
        yield len(blob_ids), batch


async def _switch(context: OperationContext, actor: Actor, move: Move) -> None:
    """Name the new shard in the catalogue."""
    require_admin(actor)
    by, now_ms = context.stamp(actor), context.clock.now_ms()
    done = replace(move, step=MoveStep.SWITCHED, switched_ms=now_ms)

    def work(tx: Transaction) -> Recorded[None]:
        switch_places(tx, [Switch(done, _new_places(load_places(tx), move))])
        event = AccountMoved(*by, move.account_id, move.login, move.from_shard, move.to_shard)
        return None, [event]

    await context.change(work)


def _new_places(places: Places, move: Move) -> tuple[NewPlace, ...]:
    """Return what the catalogue says of an account from now on."""
    domain = move.address_key.rpartition("@")[2]
    is_home = places.domains.get(domain) == move.to_shard
    new = [NewPlace(move.address_key, None if is_home else move.to_shard)]
    # The login name of an account outside the main shard may be that of another one there.
    if home_of_login(places, move.login) == move.from_shard:
        new.append(NewPlace(move.login, None if move.to_shard == MAIN_SHARD else move.to_shard))
    return tuple(new)
