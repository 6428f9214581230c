"""A deliverer with its surroundings, for tests: store, zone, clock, and mails to send."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.clock import FakeClock
from kit.store import NOW_MS, make_intake, running
from kit.zone import Zone, ZoneResolver
from zajil.config.options import DeliverOptions, QueueOptions
from zajil.config.options_smarthost import SmarthostOptions
from zajil.core.ids import BlobId, MailId
from zajil.deliver.handover import Handover
from zajil.deliver.routes import Resolves
from zajil.deliver.run import Deliverer
from zajil.deliver.sts_policies import StsPolicies
from zajil.keys.sign import Signer
from zajil.mailauth.tls_session import NoteTlsSession
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.mail.tracking import MailQuery, find_mails, load_journey
from zajil.store.schema import mail, message
from zajil.tracking.events import TrackingEvent
from zajil.tracking.journey import Journey

MESSAGE = b"From: amal@north.test\r\nSubject: hello\r\n\r\n.dots\r\n..and more\r\n"


@dataclass(slots=True)
class Courier:
    """What a test of delivery has in its hands."""

    store: Store
    deliverer: Deliverer
    clock: FakeClock
    another: Callable[[int], Deliverer]
    """Makes one more worker of the node, with this number."""

    async def put(
        self,
        *remote: str,
        content: bytes = MESSAGE,
        sender: str | None = "amal@north.test",
        edit: Callable[[Intake], Intake] = lambda item: item,
    ) -> MailId:
        """Accept a mail for recipients elsewhere, now."""
        staged = await self.store.blobs.stage_any((content,))
        item = make_intake(staged, remote=remote, reverse_path=sender, at_ms=self.clock.now_ms())
        return await self.store.write(write_intakes, edit(item))

    async def journey(self, mail_id: MailId) -> Journey:
        """Read what happened to a mail."""
        found = await self.store.read(lambda conn: load_journey(conn, mail_id))
        if found is None:
            raise LookupError(mail_id)
        return found

    async def states(self, mail_id: MailId) -> list[tuple[str, str]]:
        """Return state and reason of each recipient."""
        found = await self.journey(mail_id)
        return [(copy.state, copy.reason) for copy in found.recipients]

    async def events(self, mail_id: MailId, kind: type[TrackingEvent]) -> list[Any]:
        """Return the events of one kind."""
        found = await self.journey(mail_id)
        return [one.event for one in found.events if isinstance(one.event, kind)]

    async def read_mail(self, mail_id: MailId) -> bytes:
        """Return the bytes of the copy of a mail that lies in a mailbox."""
        copy = sa.select(message.c.prefix, message.c.blob_id).where(message.c.mail_id == mail_id)

        def read(conn: Connection) -> bytes:
            row = conn.execute(copy).one()
            return bytes(row.prefix, "utf-8") + self.store.blobs.read(conn, row.blob_id)

        return await self.store.read(read)

    async def lose_body(self, mail_id: MailId, instead: BlobId) -> None:
        """Spoil the store: the mail's message is not there."""

        def spoil(tx: Connection, items: Sequence[MailId]) -> list[None]:
            changed = sa.update(mail).where(mail.c.id.in_(items)).values(blob_id=instead)
            tx.execute(changed)
            return [None] * len(items)

        await self.store.write(spoil, mail_id)

    async def children(self, mail_id: MailId) -> list[Journey]:
        """Return the DSNs that report on a mail."""
        mails = await self.store.read(lambda conn: find_mails(conn, MailQuery()))
        journeys = [await self.journey(found.mail_id) for found in mails]
        return [journey for journey in journeys if journey.parent_mail_id == mail_id]


def needs_utf8(item: Intake) -> Intake:
    """Edit an intake: the mail needs SMTPUTF8."""
    return replace(item, needs_smtputf8=True)


@asynccontextmanager
async def courier(
    store: Store,
    zone: Zone,
    *,
    port: int = 1,
    ports: Mapping[str, int] | None = None,
    tls: ssl.SSLContext | None = None,
    tls_mode: Literal["opportunistic", "verify", "never"] = "opportunistic",
    resolver: Resolves | None = None,
    clock: FakeClock | None = None,
    signer: Signer | None = None,
    smarthost: SmarthostOptions | None = None,
    policies: StsPolicies | None = None,
    note_tls: NoteTlsSession | None = None,
    handover: Handover | None = None,
    **options: Any,
) -> AsyncIterator[Courier]:
    """Set a deliverer up on a store that is not started yet; its end drains it.

    Args:
        store: will be started and closed.
        zone: all of DNS.
        port: of all hosts; nobody listens on the default.
        ports: of single hosts, on 127.0.0.1.
        tls: a client's context; ``None``: no TLS.
        tls_mode: ``deliver.tls``.
        resolver: in the place of the zone.
        signer: of DSNs; ``None``: they are not signed.
        clock: stands still unless the test moves it.
        smarthost: ``[smarthost]``.
        policies: of MTA-STS; ``None``: they are not followed.
        note_tls: counts connections for TLS reports.
        handover: knows other shards; ``None``: there are none.
        options: fields of ``DeliverOptions``, and of ``QueueOptions`` with ``queue_`` before them.
    """
    clock = clock or FakeClock(NOW_MS)
    queue = {key[6:]: value for key, value in options.items() if key.startswith("queue_")}
    deliver = {key: value for key, value in options.items() if not key.startswith("queue_")}
    table = {name: f"127.0.0.1:{number}" for name, number in (ports or {}).items()}
    given = DeliverOptions(port=port, port_table=table, tls=tls_mode, **deliver)

    def make(worker: int) -> Deliverer:
        return Deliverer(
            store,
            resolver or ZoneResolver(zone),
            given,
            QueueOptions(**queue),
            hostname="mx.north.test",
            tls=tls,
            clock=clock,
            random=os.urandom,
            worker=worker,
            signer=signer,
            smarthost=smarthost or SmarthostOptions(),
            policies=policies,
            note_tls=note_tls,
            hand_over=None if handover is None else handover.leaves_some,
        )

    async with running(store):
        await store.directory.load()
        deliverer = make(1)
        yield Courier(store, deliverer, clock, make)
        await deliverer.drain(5)
