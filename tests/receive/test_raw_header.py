"""Header fields that are not ASCII, in mail that came without SMTPUTF8: it goes on as it came."""

from __future__ import annotations

import asyncio

import pytest

from kit.courier import courier
from kit.network import Deed, SinkSession, smtp_sink
from kit.store import make_account
from kit.talk import talk_to_receiver
from kit.zone import Zone
from zajil.core.address import parse_address
from zajil.smtp.command import BodyEnd, Command, Ehlo, Mail
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.people.aliases import AliasRow, create_alias

TEAM = "team@south.test"
ZONE: Zone = {"west.test": {"MX": ["10 mx.west.test"]}, "mx.west.test": {"A": ["127.0.0.1"]}}
BASE = b"From: A <a@north.test>\r\nTo: team@south.test\r\n"
RAW = [
    BASE + b"Subject: R\xe9sum\xe9\r\n\r\nhello\r\n",
    BASE + "Subject: Résumé\r\n\r\nhello\r\n".encode(),
    b"Received: from m\xfcnchen by x.test; today\r\n" + BASE + b"\r\nhello\r\n",
    b"From: Jos\xc3\xa9 <a@north.test>\r\nTo: team@south.test\r\n\r\nhello \xc3\xa9\r\n",
    BASE
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    + b'Content-Disposition: attachment; filename="\xe9"\r\n\r\nx\r\n--b--\r\n',
    BASE
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    + b'Content-Disposition: attachment; filename="\xc3\xa9"\r\n\r\nx\r\n--b--\r\n',
]


HOSTS = ("SMTPUTF8", "8BITMIME", "old")


@pytest.fixture
def store_url() -> str:
    """Which database it is plays no part here."""
    return "sqlite"


def forward(
    store: Store, message: bytes, host: str, *, parameters: str = ""
) -> list[tuple[bytes, Mail]]:
    """Let a mail come in for an alias; give what its target's host got."""

    def greet(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return Reply(502, ("what?",)) if host == "old" and isinstance(event, Ehlo) else None

    async def run() -> list[tuple[bytes, Mail]]:
        make_account(store, "noor@south.test")
        target = (parse_address("me@west.test"),)
        store.write_now(create_alias, AliasRow(parse_address(TEAM), target))
        async with (
            smtp_sink(answer=greet, smtputf8=host == "SMTPUTF8") as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            client = await talk_to_receiver(store, clock=setup.clock)
            reply = await client.send("a@north.test", [TEAM], message, parameters=parameters)
            assert reply.startswith("250 ")
            await setup.deliverer.run_due()
            return [(mail.message, mail.mail) for mail in sink.mails]

    return asyncio.run(run())


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("message", RAW)
def test_raw_fields_are_forwarded_without_smtputf8(store: Store, message: bytes, host: str) -> None:
    ((got, mail),) = forward(store, message, host)
    assert got.endswith(message)
    assert not mail.smtputf8
    assert ("8BITMIME" in mail.parameters) == (host != "old")


@pytest.mark.parametrize("host", ["SMTPUTF8", "8BITMIME"])
def test_what_came_with_smtputf8_and_needs_it_goes_on_with_it(store: Store, host: str) -> None:
    """RFC 6531 section 3.2."""
    got = forward(store, RAW[1], host, parameters=" SMTPUTF8")
    assert [mail.smtputf8 for _, mail in got] == ([True] if host == "SMTPUTF8" else [])


@pytest.mark.parametrize("message", [RAW[0], RAW[2], RAW[4], BASE + b"\r\nhello \xc3\xa9\r\n"])
def test_smtputf8_is_not_said_where_nothing_is_utf_8(store: Store, message: bytes) -> None:
    """RFC 6532 section 3 is about UTF-8 alone."""
    ((got, mail),) = forward(store, message, "8BITMIME", parameters=" SMTPUTF8")
    assert got.endswith(message)
    assert not mail.smtputf8


@pytest.mark.parametrize("host", ["SMTPUTF8", "8BITMIME"])
def test_an_address_in_utf_8_needs_it_whatever_was_said(store: Store, host: str) -> None:
    message = "From: سلمى <سلمى@north.test>\r\nTo: team@south.test\r\n\r\nhello\r\n".encode()
    got = forward(store, message, host)
    assert [mail.smtputf8 for _, mail in got] == ([True] if host == "SMTPUTF8" else [])
