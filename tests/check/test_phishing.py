"""Mails that look as if somebody else had sent them, and links that lead elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.made_mail import HEAD, html, view_and_facts
from zajil.check.content.lookalike import skeleton
from zajil.check.content.phishing import Protected, check_phishing

OURS = Protected(
    ["north.test"],
    lambda name: name == skeleton("Amal Haddad"),
    ["bank.example"],
)


def signals(message: bytes) -> set[str]:
    return {reason.signal for reason in check_phishing(*view_and_facts(message), OURS)}


def from_(value: str, more: str = "") -> bytes:
    message = HEAD.replace(b"Salma <salma@far.example>", value.encode())
    return message + more.encode() + b"\r\nhello\r\n"


def test_an_honest_mail_says_nothing() -> None:
    assert signals(HEAD + b"\r\nsee https://far.example/x\r\n") == set()
    assert signals(from_("Amal Haddad <amal@north.test>")) == set()
    assert signals(html('<a href="https://far.example/">www.far.example</a>')) == set()


@pytest.mark.parametrize(
    ("value", "signal"),
    [
        ('"amal@north.test" <x@evil.example>', "phish.name-shows-address"),
        ("=?utf-8?q?amal=40north=2Etest?= <x@evil.example>", "phish.name-shows-address"),
        ("Amal Haddad <x@evil.example>", "phish.name-of-ours"),
        ('"Amal Haddad (CEO)" <x@evil.example>', "phish.name-of-ours"),
        ('"Help desk of north.test" <x@evil.example>', "phish.name-of-ours"),
        ("=?utf-8?b?0JBtYWw=?= Haddad <x@evil.example>", "phish.name-of-ours"),
        ("north.test <x@evil.example>", "phish.name-of-ours"),
        ("IT <it@n0rth.test>", "phish.lookalike-author"),
        ("Bank <info@bank-example.com>", "phish.lookalike-author"),
        ("=?utf-8?b?4oCuYWJj?= <x@evil.example>", "phish.direction-control"),
        ("PayPal <service@paypa1.com>", "phish.lookalike-author"),
        ("Bank <info@xn--bnk-5cd.test>", "phish.false-letters-author"),
    ],
)
def test_authors(value: str, signal: str) -> None:
    assert signal in signals(from_(value))


def test_a_list_that_may_not_send_in_the_names_of_its_writers() -> None:
    """It writes their names before its own address, and weighs little."""
    for value in ('"amal@north.test via dev" <dev@lists.example>', "Amal Haddad <dev@l.example>"):
        message = from_(value, "List-Id: <dev.lists.example>\r\n")
        (reason,) = check_phishing(*view_and_facts(message), OURS)
        assert reason.weight == 1.0


def test_a_helpdesk_that_sends_for_somebody() -> None:
    """Whoever answers reaches the one whose address is shown."""
    message = from_('"help@shop.example" <t1@desk.example>', "Reply-To: help@shop.example\r\n")
    weights = {one.signal: one.weight for one in check_phishing(*view_and_facts(message), OURS)}
    assert weights["phish.name-shows-address"] == 1.0


def test_answers_that_go_elsewhere() -> None:
    assert "phish.reply-to-free-mail" in signals(
        from_("Boss <boss@far.example>", "Reply-To: boss.far@gmail.com\r\n")
    )
    assert "phish.lookalike-reply-to" in signals(
        from_("Boss <boss@far.example>", "Reply-To: boss@n0rth.test\r\n")
    )


@pytest.mark.parametrize(
    ("body", "signal"),
    [
        ('<a href="https://evil.example/">https://www.bank.example/</a>', "phish.link-names-other"),
        ('<a href="https://bank.example@evil.example/">go</a>', "phish.user-in-link"),
        ('<a href="http://192.0.2.7/x">go</a>', "phish.address-link"),
        ('<a href="http://0xC0000207/x">go</a>', "phish.address-link"),
        ('<a href="java&#10;script:alert(1)">go</a>', "phish.bad-scheme"),
        ('<a href="https://bank.example.evil.example/">go</a>', "phish.lookalike-link"),
        ('<a href="https://xn--nrth-55d.test/">go</a>', "phish.lookalike-link"),
        ("<form action='https://evil.example'><input type=password></form>", "phish.password-form"),
    ],
)
def test_links(body: str, signal: str) -> None:
    assert signal in signals(html(body))


def test_the_tracker_of_a_newsletter_weighs_little() -> None:
    head = HEAD + b"List-Unsubscribe: <https://far.example/u>\r\n"
    found = signals(html('<a href="https://click.mailer.example/1">www.far.example</a>', head))
    assert found == {"phish.list-link-names-other"}


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    signals(b"Content-Type: text/html\r\nFrom: " + data)


def test_our_own_arabic_domain_is_named_as_it_is_written() -> None:
    ours = Protected(["xn--mgbkq8e.test"], lambda _: False, [])
    message = HEAD + b"\r\nsee http://xn--mgbkq8e.test.login.example/x\r\n"
    found = check_phishing(*view_and_facts(message), ours)
    assert any("which resembles زاجل.test" in reason.text for reason in found)
