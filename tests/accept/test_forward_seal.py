"""What an alias sends on is sealed, so that the next server knows what we found; both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kit.dkim import NOW_S
from kit.keys import make_signer, published_keys
from kit.store import make_account, running
from kit.talk import talk_to_receiver
from kit.zone import Zone, run_flow_on_zone
from zajil.accept.forward_seal import chain_state
from zajil.core.address import parse_address
from zajil.mailauth.arc import ArcFound, verify_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.message.fields import read_fields, split_message
from zajil.store.engine.open import Store
from zajil.store.mail.mail_content import find_mail_blob
from zajil.store.mail.tracking import MailQuery, find_mails, load_journey
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.tracking.events import MailSealed

MESSAGE = (
    b"From: Amal <amal@north.test>\r\nTo: team@south.test\r\nSubject: hi\r\n"
    b"Date: Mon, 23 Nov 2026 19:09:21 +0000\r\nMessage-ID: <1@north.test>\r\n\r\nhello\r\n"
)


def check_chain(message: bytes, zone: Zone) -> ArcFound:
    end, start = split_message(message)
    header = message[:end]
    fields = read_fields(header)
    digests = BodyDigests(body_needs(fields))
    digests.feed(message[start:])
    return run_flow_on_zone(verify_arc(header, fields, digests, NOW_S), zone)


def receive(
    store: Store, message: bytes, targets: Sequence[str], *, keys: bool = True
) -> tuple[bytes, list[MailSealed]]:
    """Let a foreign mail for an alias come in; give what goes on, and the events of seals."""
    make_account(store, "noor@south.test")
    team = parse_address("team@south.test")
    store.write_now(create_alias, AliasRow(team, tuple(map(parse_address, targets))))
    signer = make_signer(store, *(["south.test"] if keys else []))

    async def run() -> tuple[bytes, list[MailSealed]]:
        async with running(store):
            client = await talk_to_receiver(store, signer=signer)
            reply = await client.send("amal@north.test", [str(team)], message)
            assert reply.startswith("250 ")
            (mail,) = await store.read(lambda conn: find_mails(conn, MailQuery()))
            blob_id = await store.read(lambda conn: find_mail_blob(conn, mail.mail_id))
            assert blob_id is not None
            kept = await store.read(lambda conn: store.blobs.read(conn, blob_id))
            journey = await store.read(lambda conn: load_journey(conn, mail.mail_id))
            assert journey is not None
            events = [one.event for one in journey.events]
            return kept, [event for event in events if isinstance(event, MailSealed)]

    return asyncio.run(run())


def test_a_forwarded_mail_is_sealed_with_what_we_found(store: Store) -> None:
    kept, events = receive(store, MESSAGE, ["x@elsewhere.test", "noor@south.test"])
    found = check_chain(kept, published_keys(store))
    assert (found.cv, found.instances, found.sealers) == ("pass", 1, ("south.test",))
    assert [(event.domain, event.instance, event.cv) for event in events] == [
        ("south.test", 1, "none")
    ]
    head = kept[: split_message(kept)[0]]
    names = [field.name for field in read_fields(head)]
    assert names[:2] == [b"received", b"authentication-results"]
    assert b"i=1; mx.south.test;" in head
    assert kept.endswith(MESSAGE)


def test_a_large_mail_is_sealed_too(store: Store) -> None:
    message = MESSAGE + b"words of some length \r\n" * 20_000
    kept, _ = receive(store, message, ["x@elsewhere.test"])
    assert check_chain(kept, published_keys(store)).cv == "pass"


@pytest.mark.parametrize(
    ("targets", "keys"), [(["noor@south.test"], True), (["x@elsewhere.test"], False)]
)
def test_what_stays_or_has_no_key_is_not_sealed(
    store: Store, targets: list[str], keys: bool
) -> None:
    kept, events = receive(store, MESSAGE, targets, keys=keys)
    assert events == []
    assert b"ARC-" not in kept


def test_a_forged_field_of_our_name_is_not_in_the_seal(store: Store) -> None:
    forged = b"Authentication-Results: mx.south.test; arc=pass; dkim=pass\r\n" + MESSAGE
    kept, (event,) = receive(store, forged, ["x@elsewhere.test"])
    assert event.cv == "none"
    assert b"arc=pass" not in kept
    assert check_chain(kept, published_keys(store)).cv == "pass"


@pytest.mark.parametrize(
    ("value", "header", "state"),
    [
        (b" mx.south.test; none", b"From: a@b\r\n", "none"),
        (b" mx.south.test; arc=none", b"From: a@b\r\n", "none"),
        (b" mx.south.test; arc=pass", b"ARC-Seal: i=1\r\n", "pass"),
        (b" mx.south.test; arc=fail", b"ARC-Seal: i=1\r\n", "fail"),
        (b" mx.south.test; none", b"ARC-Seal: i=1\r\n", None),
        (b' mx.south.test; spf=fail reason="x; arc=pass"', b"ARC-Seal: i=1\r\n", None),
        (b"", b"ARC-Seal: i=1\r\n", None),
    ],
)
def test_only_our_own_check_says_what_a_chain_is_worth(
    value: bytes, header: bytes, state: str | None
) -> None:
    assert chain_state(value, read_fields(header)) == state
