"""Messages get their signatures, and others find them right; on both databases."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kit.clock import FakeClock
from kit.dkim import verify
from kit.keys import make_signer, published_keys
from kit.mail import NOON_MS
from kit.operations import BOSS
from kit.store import running
from zajil.config.options_keys import KeyOptions
from zajil.keys.sharded import ShardedKeyring
from zajil.keys.sign import BODY_NEED, Signed, Signer, author_domain
from zajil.mailauth.dkim_body import BodyDigests
from zajil.message.fields import read_fields, split_message
from zajil.operations.context import OperationContext
from zajil.operations.dkim_keys import revoke_keys, rotate_keys
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.people.dkim_keys import KeysOf, list_dkim_keys, revoke_dkim_keys
from zajil.store.people.domains import DomainRow, create_domain
from zajil.tracking.events import MailSigned

NORTH = "north.test"
LETTER = (
    b"From: Amal <amal@north.test>\r\nTo: noor@south.test\r\nSubject: hello\r\n"
    b"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@north.test>\r\n"
    b"\r\nWords  of two \r\nlines\r\n\r\n\r\n"
)


@asynccontextmanager
async def signing(store: Store, *domains: str) -> AsyncIterator[Signer]:
    for domain in domains:
        store.write_now(create_domain, DomainRow(domain, NOON_MS))
    signer = make_signer(store, *domains)
    async with running(store):
        yield signer


async def sign(signer: Signer, message: bytes = LETTER) -> Signed:
    end, start = split_message(message)
    header = message[:end]

    def hash_body() -> BodyDigests:
        digests = BodyDigests((BODY_NEED,))
        digests.feed(message[start:])
        return digests

    return await signer.sign(header, read_fields(header), hash_body)


def test_a_letter_is_signed_by_both_algorithms(store: Store) -> None:
    async def run() -> None:
        async with signing(store, NORTH) as signer:
            signed = await sign(signer)
            (event,) = signed.events
            assert isinstance(event, MailSigned)
            assert (event.dkim_domain, event.algorithms) == (
                NORTH,
                ("ed25519-sha256", "rsa-sha256"),
            )
            found = verify(signed.fields + LETTER, published_keys(store))
            assert [(one.result, one.algorithm, one.selector) for one in found] == [
                ("pass", algorithm, selector)
                for algorithm, selector in zip(event.algorithms, event.selectors, strict=True)
            ]
            assert all(one.covers_from and one.signed_size is None for one in found)

    asyncio.run(run())


def test_a_domain_without_keys_signs_with_nothing(store: Store) -> None:
    async def run() -> None:
        async with signing(store, NORTH) as signer:
            for author in (b"a@south.test", b"a@sub.north.test", b"nobody", b""):
                message = LETTER.replace(b"Amal <amal@north.test>", author)
                assert await sign(signer, message) == Signed(b"", ())

    asyncio.run(run())


def test_an_arabic_domain_is_signed_in_its_ascii_form(store: Store) -> None:
    """RFC 8616 section 4: both forms mean the same domain."""
    message = LETTER.replace(b"Amal <amal@north.test>", "سلمى <سلمى@زاجل.test>".encode())

    async def run() -> None:
        async with signing(store, "xn--mgbkq8e.test") as signer:
            signed = await sign(signer, message)
            assert signed.fields.isascii()
            found = verify(signed.fields + message, published_keys(store))
            assert [(one.result, one.domain) for one in found] == [("pass", "xn--mgbkq8e.test")] * 2

    asyncio.run(run())


def test_our_own_notices_are_signed_by_the_nearest_domain(store: Store) -> None:
    """RFC 9989 section 4.4.1: postmaster@mx.north.test is aligned with north.test."""
    notice = LETTER.replace(b"Amal <amal@north.test>", b"postmaster@mx.north.test")

    async def run() -> None:
        async with signing(store, NORTH) as signer:
            message, events = await signer.sign_own(notice)
            assert message.endswith(notice)
            assert len(events) == 1
            assert {one.domain for one in verify(message, published_keys(store))} == {NORTH}
            other = notice.replace(b"mx.north.test", b"mx.south.test")
            assert await signer.sign_own(other) == (other, ())

    asyncio.run(run())


def test_a_rotated_key_is_noticed_and_a_revoked_one_says_why(store: Store) -> None:
    async def run() -> None:
        async with signing(store, NORTH) as signer:
            old = (await sign(signer)).fields + LETTER
            before = [one.selector for one in verify(old, published_keys(store))]
            operations = OperationContext(store, FakeClock(NOON_MS + 1), os.urandom)
            await rotate_keys(operations, BOSS, NORTH, KeyOptions(), at_once=True)
            signer.keyring.forget()  # as the hint of the other process does
            new = (await sign(signer)).fields + LETTER
            zone = published_keys(store)
            assert [one.result for one in (*verify(old, zone), *verify(new, zone))] == ["pass"] * 4
            assert not {one.selector for one in verify(new, zone)} & set(before)
            await revoke_keys(operations, BOSS, NORTH, before)
            found = verify(old, published_keys(store))
            assert {one.result for one in found} == {"permerror"}
            assert {one.reason for one in found} == {"The key was revoked."}

    asyncio.run(run())


def test_a_commit_of_this_process_is_noticed_at_once(store: Store) -> None:
    async def run() -> None:
        async with signing(store, NORTH) as signer:
            assert (await sign(signer)).fields
            rows = await store.read(list_dkim_keys)
            await store.write(
                revoke_dkim_keys, KeysOf(NORTH, tuple([row.selector for row in rows]), NOON_MS)
            )
            assert (await sign(signer)).fields == b""

    asyncio.run(run())


def test_a_store_that_is_away_lets_nothing_leave_unsigned(store: Store) -> None:
    async def run() -> Signer:
        async with signing(store, NORTH) as signer:
            return signer

    signer = asyncio.run(run())
    with pytest.raises(StoreUnavailable):
        asyncio.run(sign(signer))


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        (b"From: a@North.TEST\r\n", "north.test"),
        ("From: a@زاجل.test\r\n".encode(), "xn--mgbkq8e.test"),
        (b"From: a@one.test, b@two.test\r\n", "one.test"),
        (b"From: nobody\r\n", None),
        (b"To: a@north.test\r\n", None),
    ],
)
def test_the_first_author_says_whose_mail_it_is(value: bytes, domain: str | None) -> None:
    assert author_domain(read_fields(value)) == domain


def test_nothing_leaves_unsigned_while_the_shard_of_its_domain_is_away(store: Store) -> None:
    """An account that is apart from its domain writes: the keys are in a store that is not open."""
    homes = {"north.test": "north", "south.test": "main"}

    async def run() -> None:
        async with running(store):
            ring = ShardedKeyring(store, "main", {}, homes.get)
            signer = Signer(ring, FakeClock(NOON_MS))
            with pytest.raises(StoreUnavailable, match="the shard north is not available"):
                await sign(signer)
            assert await ring.keys_of("south.test") == ()
            assert await ring.keys_of("elsewhere.test") == ()
            # But for what the server itself has to say, of that among other things.
            assert await ring.aligned_keys("mx.north.test") == ("mx.north.test", ())

    asyncio.run(run())
