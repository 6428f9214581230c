"""Attacks D: whatever bytes a message begins with, the fields that we add stay as we wrote them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.parser import BytesParser
from email.policy import compat32
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kit.keys import make_signer
from kit.login import HASHER, open_desk
from kit.reading import inbox_of
from kit.store import make_account, open_test_store, running
from kit.talk import (
    HOSTNAME,
    Talk,
    talk_to_lmtp,
    talk_to_receiver,
    talk_to_submission,
)
from kit.zone import ZoneResolver
from zajil.check.step import Checks
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.core.ids import MailId
from zajil.message.fields import read_fields, split_message
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store
from zajil.store.mail.mail_content import find_mail_blob
from zajil.store.people.aliases import AliasRow, create_alias

AMAL = "amal@south.test"
TEAM = "team@south.test"
REST = b"From: amal@south.test\r\nSubject: hi\r\n\r\nhello\r\n"
LIE = b"dmarc=pass header.from=bank.test"
FOLDED = [
    b" ;\r\n " + LIE + b"\r\n",
    b"\t" + LIE + b"\r\n",
    b" \r\n",
    b"\t\r\n " + LIE + b"\r\n",
    b"  \r\n\r\n",
    b"\x0b" + LIE + b"\r\n",
    b"\x0c;" + LIE + b"\r\n",
    b"\x1f" + LIE + b"\r\n",
    b"\xa0" + LIE + b"\r\n",
    b"\x85" + LIE + b"\r\n",
    "\N{NO-BREAK SPACE}".encode() + LIE + b"\r\n",
    "\N{IDEOGRAPHIC SPACE}".encode() + LIE + b"\r\n",
]


@pytest.fixture
def store_url() -> str:
    """Which database it is plays no part here."""
    return "sqlite"


async def talk_to(store: Store, way: str) -> Talk:
    """Open one of the ways in, as somebody who may send."""
    signer = make_signer(store, "south.test")
    if way == "submission":
        talk = await talk_to_submission(store, open_desk(store).login, signer=signer)
        assert (await talk.log_in("amal", "own password")).startswith("235 ")
        return talk
    start = talk_to_lmtp if way == "lmtp" else talk_to_receiver
    return await start(store, signer=signer, clock=SystemClock())


async def taken(store: Store, reply: str) -> bytes:
    """Return the message of the mail that a reply accepted, as the next server gets it."""
    assert reply.startswith("250 2.0.0 queued as "), reply
    mail_id = MailId(reply.split()[-1])
    blob_id = await store.read(lambda conn: find_mail_blob(conn, mail_id))
    assert blob_id is not None
    return await store.read(lambda conn: store.blobs.read(conn, blob_id))


@pytest.mark.parametrize("way", ["port 25", "lmtp", "submission"])
def test_a_folded_first_line_is_refused(store: Store, way: str) -> None:
    """It would go on in our Authentication-Results or in our last signature."""
    make_account(store, AMAL, password_hash=HASHER.hash("own password"))

    async def run() -> None:
        async with running(store):
            talk = await talk_to(store, way)
            for start in FOLDED:
                reply = await talk.send(AMAL, [AMAL], start + REST)
                assert reply.startswith("550 5.6.0 "), start
                assert (await talk.send(AMAL, [AMAL], REST)).startswith("250 ")

    asyncio.run(run())


@pytest.mark.parametrize("cut", [b"Bcc: x@south.test", b"Authentication-Results: mx.south.test;"])
def test_what_comes_first_after_a_cut_is_looked_at_too(store: Store, cut: bytes) -> None:
    make_account(store, AMAL, password_hash=HASHER.hash("own password"))

    async def run() -> None:
        async with running(store):
            talk = await talk_to(store, "submission")
            folded = cut + b"\r\n\x0b" + LIE + b"\r\n" + REST
            assert (await talk.send(AMAL, [AMAL], folded)).startswith("550 5.6.0 ")
            regular = cut + b"\r\n " + LIE + b"\r\n\t\r\n" + REST
            assert LIE not in await taken(store, await talk.send(AMAL, [AMAL], regular))

    asyncio.run(run())


@pytest.mark.parametrize(
    "start", [b"From x Mon Nov 23\r\n", b"\xef\xbb\xbf", b"hello\r\n", b"\r\n"]
)
def test_an_odd_first_line_that_folds_nothing_is_taken(store: Store, start: bytes) -> None:
    make_account(store, AMAL)

    async def run() -> None:
        async with running(store):
            talk = await talk_to(store, "port 25")
            reply = await talk.send("x@north.test", [AMAL], start + REST)
            assert (await taken(store, reply)).endswith(start + REST)

    asyncio.run(run())


def test_what_the_last_server_writes_stands_once(store: Store) -> None:
    make_account(store, AMAL)
    forged = (
        b"Return-Path: <ceo@bank.test>\r\nDelivered-To: amal@south.test\r\n"
        b"Received-SPF: pass\r\nBIMI-Indicator: x\r\nBIMI-Location: y\r\n"
        b"Authentication-Results: mx.south.test/1; dmarc=pass\r\n"
    )

    async def run() -> None:
        async with running(store):
            checks = Checks(
                CheckOptions(), ZoneResolver({}).resolve, HOSTNAME, store.directory.is_ours
            )
            talk = await talk_to_receiver(store, checks=checks)
            assert (await talk.send("x@north.test", [AMAL], forged + REST)).startswith("250 ")
            (kept,) = await inbox_of(store, AMAL)
            names = [name for name, _ in BytesParser(policy=compat32).parsebytes(kept).items()]
            assert names == [
                *("Return-Path", "Delivered-To", "Received", "Authentication-Results"),
                *("From", "Subject"),
            ]
            assert b"bank.test" not in kept

    asyncio.run(run())


PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b" ",
                b"\t",
                b":",
                b"\r\n",
                b"\r\n\r\n",
                b"\r\n ",
                b"\r\n\t\r\n",
                b"x",
                b"\xa0",
                b"\x0b",
            ),
            *(b"From: amal@south.test\r\n", b"Date: x\r\n", b"garbage\r\n", b"Bcc: a@south.test"),
            *(b"Bcc: a@south.test\r\n", b"Authentication-Results: mx.south.test", b"From a b\r\n"),
            *(
                b"Message-ID: <1@x>\r\n",
                b"; " + LIE,
                b"Subject: \xc3\xa9\r\n",
                b"ARC-Seal: i=1\r\n",
            ),
        ]
    )
    | st.binary(max_size=3).filter(lambda data: not set(data) & set(b"\r\n\0")),
    max_size=8,
).map(b"".join)
OURS = {
    "port 25": ["Received", "Authentication-Results"],
    "lmtp": ["Received", "Authentication-Results"],
    "submission": ["Received", "Authentication-Results", "DKIM-Signature", "DKIM-Signature"],
    "forward": [
        *("Received", "Authentication-Results"),
        *("ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"),
    ],
}


@pytest.mark.parametrize("way", OURS)
def test_our_fields_read_as_we_wrote_them(tmp_path: Path, way: str) -> None:
    """By another parser: the same names and values on top, whatever follows."""
    store = open_test_store("sqlite", tmp_path / "data")
    make_account(store, AMAL, password_hash=HASHER.hash("own password"))
    elsewhere = (parse_address("x@elsewhere.test"),)
    store.write_now(create_alias, AliasRow(parse_address(TEAM), elsewhere))
    with asyncio.Runner() as runner:
        runner.run(start(store))
        talk = runner.run(talk_to(store, way))

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(PIECES)
        @example(b"Bcc: a@south.testMessage-ID: <1@x>\r\n")  # removed; ends as a field of ours
        def send(message: bytes) -> None:
            kept = runner.run(send_and_read(store, talk, way, message))
            if kept is not None:
                check_top(kept, message, OURS[way])

        send()
        assert runner.run(talk.say("NOOP")).startswith("250 ")
        runner.run(store.close())


async def start(store: Store) -> None:
    store.start(asyncio.get_running_loop())


async def send_and_read(store: Store, talk: Talk, way: str, message: bytes) -> bytes | None:
    """Give what was kept of a message; ``None``: it was refused."""
    recipient = TEAM if way == "forward" else AMAL
    talk.conn.errors = 0
    reply = await talk.send(AMAL, [recipient], message.replace(b"\r\n.", b"\r\n.."))
    if reply.startswith("250 "):
        return await taken(store, reply)
    assert reply[:3] in ("550", "552", "554")
    return None


def check_top(kept: bytes, message: bytes, names: Sequence[str]) -> None:
    # All that stands before the first line of the message that is still in its place.
    sent = message if message.endswith(b"\r\n") else message + b"\r\n"
    starts = [at for at in range(len(sent) + 1) if at in (0, len(sent)) or sent[at - 1] == 10]
    first = next(at for at in starts if kept.endswith(sent[at:]))
    top = kept[: len(kept) - len(sent[first:])]
    given_names = {
        field.name.decode("latin-1") for field in read_fields(sent[: split_message(sent)[0]])
    }
    if "DKIM-Signature" in names:  # where a message is completed
        added = [name for name in ("From", "Date", "Message-ID") if name.lower() not in given_names]
        names = [*names, *added]
    ours = BytesParser(policy=compat32).parsebytes(top).items()[: len(names)]
    read = BytesParser(policy=compat32).parsebytes(kept).items()[: len(names)]
    assert [name for name, _ in read] == list(names)
    assert read == ours
    assert all([LIE.decode() not in value for _, value in read])
    fields = read_fields(kept[: split_message(kept)[0]])
    assert [field.name for field in fields[: len(names)]] == [
        name.lower().encode() for name in names
    ]
