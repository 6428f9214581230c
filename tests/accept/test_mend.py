"""What a mail program sends that could not travel: mended before it is signed, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kit.dkim import verify
from kit.keys import make_signer, published_keys
from kit.login import HASHER, open_desk
from kit.store import make_account, running
from kit.talk import HOSTNAME, Talk, talk_to_submission
from zajil.config.options import LimitOptions
from zajil.message.encoded_word import decode_words
from zajil.message.fields import find_value, read_fields, split_message
from zajil.message.parse import parse_message
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.mail.mail_content import find_mail_blob
from zajil.store.mail.tracking import MailQuery, find_mails, load_journey
from zajil.store.schema import mail
from zajil.tracking.events import HeaderCompleted

AMAL = "amal@south.test"
BASE = "From: Amal <amal@south.test>\r\nTo: u@west.test\r\nMessage-ID: <1@south.test>\r\n"
LONG = "x" * 3000


def submit(
    store: Store, talk: Callable[[Talk], Awaitable[None]], limits: LimitOptions | None = None
) -> None:
    make_account(store, AMAL, password_hash=HASHER.hash("own password"))

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            client = await talk_to_submission(
                store,
                login,
                offer=Capabilities(
                    hostname=HOSTNAME,
                    max_message_size=1 << 25,
                    starttls=True,
                    auth_mechanisms=login.mechanisms,
                ),
                signer=make_signer(store, "south.test"),
                limits=limits or LimitOptions(),
            )
            assert (await client.log_in("amal", "own password")).startswith("235 ")
            await talk(client)

    asyncio.run(run())


async def sent(store: Store) -> bytes:
    """Give the only mail that was taken, as the next server gets it; its signatures are right."""
    mails = await store.read(lambda conn: find_mails(conn, MailQuery()))
    (found,) = [one for one in mails if one.recipients[0][1] != "refused"]
    blob_id = await store.read(lambda conn: find_mail_blob(conn, found.mail_id))
    assert blob_id is not None
    message = await store.read(lambda conn: store.blobs.read(conn, blob_id))
    assert max(map(len, message.split(b"\r\n"))) <= 998
    assert [one.result for one in verify(message, published_keys(store))] == ["pass", "pass"]
    return message


async def needs_smtputf8(store: Store) -> bool:
    rows = await store.read(lambda conn: conn.execute(mail.select()).all())
    return bool(rows[0].needs_smtputf8)


async def changes(store: Store) -> str:
    (found,) = await store.read(lambda conn: find_mails(conn, MailQuery()))
    journey = await store.read(lambda conn: load_journey(conn, found.mail_id))
    assert journey is not None
    events = [one.event for one in journey.events]
    return next(event.changes for event in events if isinstance(event, HeaderCompleted))


@pytest.mark.parametrize("raw", ["Résumé".encode(), b"R\xe9sum\xe9"])
@pytest.mark.parametrize("size", [0, 200_000], ids=["small", "in a file"])
def test_a_raw_subject_is_encoded_before_it_is_signed(store: Store, raw: bytes, size: int) -> None:
    """RFC 6409 section 8, RFC 2047."""

    async def talk(client: Talk) -> None:
        body = b"words of some length\r\n" * (size // 22)
        message = BASE.encode() + b"Subject: " + raw + b"\r\n\r\nhello\r\n" + body
        reply = await client.send(AMAL, ["u@west.test"], message, parameters="")
        assert reply.startswith("250 ")
        text = await sent(store)
        header = text[: split_message(text)[0]]
        assert header.isascii()
        assert decode_words(find_value(read_fields(header), b"subject") or b"") == "Résumé"
        assert text.endswith(b"\r\nhello\r\n" + body)
        assert not await needs_smtputf8(store)
        assert "encoded Subject" in await changes(store)

    submit(store, talk, LimitOptions().model_copy(update={"memory": 1 << 16}))


def test_with_smtputf8_a_raw_subject_stays(store: Store) -> None:
    async def talk(client: Talk) -> None:
        message = f"{BASE}Subject: Résumé\r\n\r\nhello\r\n"
        assert (await client.send(AMAL, ["u@west.test"], message)).startswith("250 ")
        assert "Subject: Résumé\r\n".encode() in await sent(store)
        assert await needs_smtputf8(store)

    submit(store, talk)


def test_what_is_no_utf_8_is_encoded_with_smtputf8_too(store: Store) -> None:
    async def talk(client: Talk) -> None:
        message = BASE.encode() + b"Subject: R\xe9sum\xe9\r\n\r\nhello\r\n"
        assert (await client.send(AMAL, ["u@west.test"], message)).startswith("250 ")
        assert b"Subject: =?utf-8?B?UsOpc3Vtw6k=?=\r\n" in await sent(store)
        assert not await needs_smtputf8(store)

    submit(store, talk)


def test_the_file_name_of_a_part_is_encoded(store: Store) -> None:
    async def talk(client: Talk) -> None:
        head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        part = (
            b'Content-Disposition: attachment; filename="r\xe9sum\xe9.bin"\r\n\r\nAAAA\r\n--b--\r\n'
        )
        message = (BASE + head).encode() + part
        reply = await client.send(AMAL, ["u@west.test"], message, parameters="")
        assert reply.startswith("250 ")
        assert b"filename*=utf-8''r%C3%A9sum%C3%A9.bin\r\n\r\nAAAA\r\n" in await sent(store)

    submit(store, talk)


def test_what_cannot_be_encoded_is_refused_at_once(store: Store) -> None:
    """RFC 6531 section 3.5."""

    async def talk(client: Talk) -> None:
        message = f"{BASE}Reply-To: josé@west.test\r\n\r\nhello\r\n"
        reply = await client.send(AMAL, ["u@west.test"], message, parameters="")
        assert reply.startswith("550 5.6.7 an address in the Reply-To field needs SMTPUTF8 (")
        assert (await client.send(AMAL, ["u@west.test"], message)).startswith("250 ")

    submit(store, talk)


@pytest.mark.parametrize("size", [0, 200_000], ids=["small", "in a file"])
def test_a_long_line_is_encoded_before_it_is_signed(store: Store, size: int) -> None:
    """RFC 6376 section 5.3, RFC 5322 section 2.1.1."""

    async def talk(client: Talk) -> None:
        body = f"short\r\n{LONG}\r\n" + "words of some length\r\n" * (size // 22)
        message = f"{BASE}Subject: hi\r\n\r\n{body}"
        assert (await client.send(AMAL, ["u@west.test"], message)).startswith("250 ")
        text = await sent(store)
        assert parse_message(text).content(text) == body.encode()
        assert (await changes(store)).endswith("encoded the body")

    submit(store, talk, LimitOptions().model_copy(update={"memory": 1 << 16}))


def test_a_long_field_is_folded(store: Store) -> None:
    async def talk(client: Talk) -> None:
        ids = " ".join(f"<{number}@long.south.test>" for number in range(100))
        message = f"{BASE}References: {ids}\r\n\r\nhello\r\n"
        assert (await client.send(AMAL, ["u@west.test"], message)).startswith("250 ")
        text = await sent(store)
        fields = read_fields(text[: split_message(text)[0]])
        assert find_value(fields, b"references") == ids.encode()

    submit(store, talk)


def test_a_long_line_under_a_signature_is_refused(store: Store) -> None:
    async def talk(client: Talk) -> None:
        message = (
            f"{BASE}MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n"
            f"Content-Type: text/plain\r\n\r\n{LONG}\r\n--b\r\n"
            "Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
        )
        reply = await client.send(AMAL, ["u@west.test"], message)
        assert reply.startswith("550 5.6.0 a line is longer than 998 octets")
        good = message.replace(LONG, "x" * 998)
        assert (await client.send(AMAL, ["u@west.test"], good)).startswith("250 ")
        assert good[good.index("--b\r\n") :].encode() in await sent(store)

    submit(store, talk)


def test_a_good_message_keeps_every_byte(store: Store) -> None:
    async def talk(client: Talk) -> None:
        message = f"{BASE}Date:  Mon, 23 Nov 2026 12:00:00 +0000 \r\n\r\n{'x' * 998}\r\né \r\n"
        assert (await client.send(AMAL, ["u@west.test"], message, parameters="")).startswith("250 ")
        assert (await sent(store)).endswith(message.encode())

    submit(store, talk)
