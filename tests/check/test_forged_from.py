"""A From that is malformed, or shows more than it says, and what the whole step makes of it.

The peer is evil.test, and SPF proves that; bank.test asks to refuse what it did not send.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.checks import make_checks
from kit.facts import make_facts
from kit.zone import Zone
from zajil.check.step import Checked
from zajil.check.verdict.verdict import Action
from zajil.core.address import parse_address

ZONE: Zone = {
    "evil.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "friend.test": {},
    "bank.test": {"TXT": ["v=spf1 -all"]},
    "_dmarc.bank.test": {"TXT": ["v=DMARC1; p=reject"]},
    "shop.test": {"TXT": ["v=spf1 -all"]},
    "_dmarc.shop.test": {"TXT": ["v=DMARC1; p=quarantine"]},
}


def check(*values: str, extra: str = "", sender: str = "x@evil.test") -> Checked:
    header = "".join(f"From: {value}\r\n" for value in values)
    return check_header(f"{header}{extra}".encode(), sender)


def check_header(header: bytes, sender: str = "x@evil.test") -> Checked:
    message = header + (
        b"To: amal@north.test\r\nSubject: hi\r\n"
        b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@evil.test>\r\n\r\nHello.\r\n"
    )
    facts = replace(
        make_facts(message, smtputf8=True),
        reverse_path=parse_address(sender),
        claimed_name="mx.evil.test",
    )
    return asyncio.run(make_checks(ZONE).check_message(facts))


def signals(found: Checked) -> set[str]:
    return {reason.signal for reason in found.verdict.reasons}


def test_the_plain_forgery_is_junk() -> None:
    assert check("ceo@bank.test").action is Action.JUNK
    assert check("ceo@shop.test").action is Action.JUNK
    assert check("x@evil.test").action is Action.ACCEPT


@pytest.mark.parametrize("domain", ["bank.test", "shop.test"])
@pytest.mark.parametrize(
    "value",
    [
        "Joe ceo@{}",
        "Joe, ceo@{}>",
        '"Joe" ceo@{}',
        "ceo@{}>",
        "ceo@ {}>",
        "ceo@{} <",
        "ceo@{} <>",
        "[ceo@{}]",
        '"ceo@{}"',
        "=?utf-8?q?ceo=40{}?=",
        "=?utf-8?q?Joe_=3Cceo=40{}=3E?=",
        "ceo＠{}",
        "ceo@{}\x01",
        "ceo%{}",
        "ceo@{}:;",
        "(ceo@{})",
        "<x@evil.test> <ceo@{}>",
        "<x@evil.test> ceo@{}",
        "x@evil.test, ceo@{}",
        "x@evil.test)ceo@{}",
        "ceo@{} <x@evil.test>",
        "Joe ceo@{} <x@evil.test>",
        "ceo@{}, <x@evil.test",
        "team: x@evil.test, ceo@{};",
        "<@{}:x@evil.test>",
        "Joe <@evil.test, @{}:x@evil.test>",
    ],
)
def test_what_cannot_be_read_fares_no_better(value: str, domain: str) -> None:
    found = check(value.format(domain))
    assert found.action in (Action.JUNK, Action.REJECT)
    assert signals(found) & {"dmarc.fail-reject", "dmarc.fail-quarantine", "dmarc.name-fail"}


@pytest.mark.parametrize("other", ["ceo@bank.test", "Joe ceo@bank.test", '"ceo@bank.test"'])
@pytest.mark.parametrize("turn", [1, -1])
def test_nor_does_a_second_from(other: str, turn: int) -> None:
    found = check(*["x@evil.test", other][::turn])
    assert found.action in (Action.JUNK, Action.REJECT)
    assert "dmarc.fail-reject" in signals(found)


@pytest.mark.parametrize(
    "start",
    [b"From\xa0:", b"From\x01:", b"Fr\x7fom:", b"\xef\xbb\xbfFrom:", b"\x0bFROM:", b"From\r\n :"],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_nor_does_a_line_that_some_take_for_a_from(start: bytes, turn: int) -> None:
    lines = [start + b" ceo@bank.test\r\n", b"From: x@evil.test\r\n"][::turn]
    found = check_header(b"".join(lines))
    assert found.action in (Action.JUNK, Action.REJECT)
    assert "dmarc.fail-reject" in signals(found)


def test_a_line_of_a_mailbox_file_is_no_from() -> None:
    line = b"From ceo@bank.test Mon Nov 23 12:00:00 2026\r\n"
    assert check_header(line + b"From: x@evil.test\r\n").action is Action.ACCEPT


@pytest.mark.parametrize("values", [(), ("",), ("Joe",), ("<>",), ("Joe <bank.test>",)])
def test_a_mail_without_an_author_is_junk(values: tuple[str, ...]) -> None:
    assert check(*values).action is Action.JUNK


@pytest.mark.parametrize(
    "value",
    [
        ", ".join(f"a@d{number}.test" for number in range(9)),
        " ".join(f"a@d{number}.test" for number in range(9)),
        "Joe ceo@friend.test" + " " * 5000 + "ceo@bank.test",
    ],
)
def test_more_authors_than_anybody_asks_about_are_refused(value: str) -> None:
    assert check(value).action is Action.REJECT


@pytest.mark.parametrize(
    "value",
    ["Joe joe@friend.test", "joe@friend.test>", "[joe@friend.test]", "joe@evil.test <x@evil.test>"],
)
def test_a_clumsy_program_of_a_domain_without_policy_comes_in(value: str) -> None:
    assert check(value).action is Action.ACCEPT


@pytest.mark.parametrize(
    "value",
    [
        '"joe@bank.test via pigeons" <list@evil.test>',
        "\"'joe@bank.test' via pigeons\" <list@evil.test>",
        '"support@shop.test" <bounce@evil.test>',
        "=?utf-8?q?support=40shop=2Etest?= <bounce@evil.test>",
        "bounce@evil.test (support@shop.test)",
    ],
)
@pytest.mark.parametrize(
    "extra",
    [
        "List-Id: <pigeons.evil.test>\r\n",
        "List-Unsubscribe: <https://evil.test/u>\r\n",
        "Reply-To: joe@bank.test, support@shop.test\r\n",
    ],
)
def test_who_sends_for_somebody_is_not_junk(value: str, extra: str) -> None:
    found = check(value, extra=extra)
    assert found.action is Action.ACCEPT
    assert "dmarc.name-fail" in signals(found)


def test_a_name_that_shows_another_address_is_junk_and_never_refused() -> None:
    """Where nothing says that somebody sends for somebody."""
    for more in ("", "In-Reply-To: <2@evil.test>\r\nIn-Reply-To: <3@evil.test>\r\n"):
        assert check('"ceo@bank.test" <x@evil.test>', extra=more).action is Action.JUNK


def test_a_name_that_shows_what_is_proven_weighs_nothing_more() -> None:
    found = check('"info@friend.test" <x@evil.test>')
    assert "dmarc.name-fail" not in signals(found)
    found = check('"x@evil.test" <info@friend.test>')
    assert "dmarc.name-fail" not in signals(found)
    assert found.action is Action.ACCEPT


@pytest.mark.parametrize("value", ["aviso <%@_gone.test>", "aviso <x@gone.test>", "x@a.gone.test"])
def test_an_author_whose_domain_does_not_exist(value: str) -> None:
    found = check(value)
    assert "dmarc.absent-author" in signals(found)
    assert found.verdict.score >= 1.5


def test_an_author_who_is_proven_is_not_asked_for() -> None:
    assert signals(check("x@evil.test")) == set()
    found = check("x@sub.evil.test")
    assert "dmarc.absent-author" not in signals(found)
