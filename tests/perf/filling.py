"""Put many mails into a store, in large commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from kit.store import make_intake
from plan import Plan, message
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.people.directory import look_up

_COMMIT = 500
"""Mails of one commit."""
_DAY_MS = 86_400_000
_DOMAINS = 200
"""Next hops of the mails that wait."""


def fill_mailbox(store: Store, count: int, size: int) -> None:
    """Put mails into the INBOX of the account that the benchmark sends to."""
    recipient = parse_address(Plan(1).recipient)
    content = [message(Plan(1, size=size))]

    entry = store.read_now(lambda conn: look_up(conn, recipient)).entry
    if not isinstance(entry, AccountEntry):
        raise TypeError(f"{recipient} is no account")

    def make(_number: int) -> Intake:
        return make_intake(store.blobs.stage(content), local=[entry], at_ms=_now_ms())

    _fill(store, count, make)


def fill_queue(store: Store, count: int, size: int) -> None:
    """Put mails into the queue; the next attempts are spread over a day that begins in an hour."""
    content = [message(Plan(1, size=size))]

    def make(number: int) -> Intake:
        recipient = f"c{number}@waiting{number % _DOMAINS}.test"
        intake = make_intake(store.blobs.stage(content), remote=[recipient], at_ms=_now_ms())
        due_ms = _now_ms() + _DAY_MS // 24 + number * _DAY_MS // count
        copies = tuple(replace(copy, next_try_ms=due_ms) for copy in intake.remote)
        return replace(intake, remote=copies)

    _fill(store, count, make)


def _fill(store: Store, count: int, make: Callable[[int], Intake]) -> None:
    for begin in range(0, count, _COMMIT):
        numbers = range(begin, min(count, begin + _COMMIT))
        store.write_now(_write_all, [make(number) for number in numbers])


def _write_all(tx: Connection, items: Sequence[Sequence[Intake]]) -> list[int]:
    return [len(write_intakes(tx, intakes)) for intakes in items]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
