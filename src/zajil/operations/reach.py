"""Whether mail to an address of ours would come to somebody."""

from __future__ import annotations

from collections.abc import Iterable

from zajil.core.address import Address
from zajil.route.recipient import UnknownRecipient, route_recipient
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.people.directory import find_postmaster, look_up


def find_unknown(store: Store, addresses: Iterable[Address]) -> list[Address]:
    """Give the addresses in domains of ours that nobody has."""

    def is_unknown(conn: Snapshot, address: Address) -> bool:
        flow = route_recipient(address, find_postmaster(conn))
        try:
            asked = next(flow)
            while True:
                asked = flow.send(look_up(conn, asked))
        except StopIteration as stop:
            return isinstance(stop.value, UnknownRecipient)

    return store.read_now(lambda conn: [one for one in addresses if is_unknown(conn, one)])
