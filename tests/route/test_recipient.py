from __future__ import annotations

import pytest

from kit.address_book import AMAL, SALMA, SAMI, SLEEPER, Book, address
from zajil.core.address import Address
from zajil.route.recipient import Local, Remote, Suspended, UnknownRecipient, route_recipient

BOOK = Book(
    accounts=[AMAL, SALMA, SLEEPER],
    aliases={
        "info@north.test": ["amal@north.test", "reader@elsewhere.test"],
        "loop@north.test": ["loop2@north.test"],
        "loop2@north.test": ["loop@north.test"],
        "abuse@north.test": ["nobody@north.test"],
        "amal+list@north.test": ["salma@north.test"],
    },
)


def test_an_account_of_ours_is_local() -> None:
    assert BOOK.route("amal@north.test") == Local((AMAL,))
    assert BOOK.route("AMAL@North.Test") == Local((AMAL,))


def test_a_utf_8_address_is_local() -> None:
    assert BOOK.route("سلمى@زاجل.test") == Local((SALMA,))


def test_another_domain_is_remote() -> None:
    assert BOOK.route("amal@elsewhere.test") == Remote(address("amal@elsewhere.test"))


def test_nobody_is_unknown() -> None:
    assert isinstance(BOOK.route("nobody@north.test"), UnknownRecipient)


def test_a_suspended_account_is_not_unknown() -> None:
    assert BOOK.route("sleeper@north.test") == Suspended(SLEEPER.address, SLEEPER)


def test_a_subaddress_leads_to_its_account() -> None:
    """RFC 5233 section 1."""
    assert BOOK.route("amal+shop@north.test") == Local((AMAL,))
    assert isinstance(BOOK.route("nobody+shop@north.test"), UnknownRecipient)
    assert isinstance(BOOK.route("+shop@north.test"), UnknownRecipient)


def test_an_address_that_exists_comes_before_its_subaddress() -> None:
    assert BOOK.route("amal+list@north.test") == Local(
        (SALMA,), via=(address("amal+list@north.test"),)
    )


def test_an_alias_leads_to_accounts_and_elsewhere() -> None:
    assert BOOK.route("info@north.test") == Local(
        (AMAL,), (address("reader@elsewhere.test"),), (address("info@north.test"),)
    )


def test_an_alias_that_leads_nowhere_is_unknown() -> None:
    assert isinstance(BOOK.route("loop@north.test"), UnknownRecipient)


@pytest.mark.parametrize(
    "who", ["postmaster@north.test", "PostMaster@زاجل.test", "abuse@زاجل.test", "abuse@north.test"]
)
def test_postmaster_and_abuse_are_always_accepted(who: str) -> None:
    """RFC 5321 section 4.5.1, RFC 2142 section 5; also when an alias of that name is broken."""
    found = BOOK.route(who, postmaster=SAMI)
    assert isinstance(found, Local)
    assert found.entries == (SAMI,)


def test_bare_postmaster_is_accepted() -> None:
    """RFC 5321 section 4.5.1: ``RCPT TO:<Postmaster>`` without a domain."""
    assert BOOK.route(Address("Postmaster", ""), postmaster=SAMI) == Local((SAMI,))
    assert isinstance(BOOK.route(Address("somebody", ""), postmaster=SAMI), UnknownRecipient)


def test_postmaster_of_other_domains_is_theirs() -> None:
    assert isinstance(BOOK.route("postmaster@elsewhere.test", postmaster=SAMI), Remote)


def test_the_entry_of_postmaster_comes_before_the_fallback() -> None:
    book = Book(accounts=[AMAL], aliases={"postmaster@north.test": ["amal@north.test"]})
    found = book.route("postmaster@north.test", postmaster=SAMI)
    assert isinstance(found, Local)
    assert found.entries == (AMAL,)


@pytest.mark.parametrize(
    "local_part", ["user%elsewhere.test", "elsewhere.test!user", "a@elsewhere.test"]
)
def test_source_routes_of_old_lead_nowhere(local_part: str) -> None:
    """Attacks O: the percent hack, bang paths and a quoted ``@`` are local parts like any other."""
    assert isinstance(BOOK.route(Address(local_part, "north.test")), UnknownRecipient)


def test_the_flow_asks_only_what_it_needs() -> None:
    flow = route_recipient(address("amal@north.test"), None)
    assert next(flow) == address("amal@north.test")
    with pytest.raises(StopIteration):
        flow.send(BOOK.answer(address("amal@north.test")))


CATCH_ALL = Book(
    accounts=[AMAL, SAMI, SLEEPER],
    aliases={
        "*@north.test": ["amal@north.test", "archive@elsewhere.test"],
        "info@north.test": ["nobody@north.test"],
        "help@north.test": ["abuse@north.test"],
        "sami+list@north.test": ["sami@north.test"],
    },
)


@pytest.mark.parametrize("who", ["nobody", "x+y", "*", "سل"])
def test_a_catch_all_gets_what_nobody_has(who: str) -> None:
    assert CATCH_ALL.route(f"{who}@north.test") == Local(
        (AMAL,), (address("archive@elsewhere.test"),), (address("*@north.test"),)
    )


@pytest.mark.parametrize("who", ["sami@north.test", "SAMI+shop@north.test", "sami+list@north.test"])
def test_every_other_address_comes_before_the_catch_all(who: str) -> None:
    found = CATCH_ALL.route(who)
    assert isinstance(found, Local)
    assert found.entries == (SAMI,)
    assert CATCH_ALL.route("sleeper@north.test") == Suspended(SLEEPER.address, SLEEPER)


def test_a_catch_all_is_for_one_domain() -> None:
    assert isinstance(CATCH_ALL.route("nobody@زاجل.test"), UnknownRecipient)
    assert isinstance(CATCH_ALL.route("nobody@elsewhere.test"), Remote)


@pytest.mark.parametrize("who", ["postmaster", "Abuse+spam", "dmarc-reports"])
def test_a_catch_all_does_not_get_the_mail_of_the_postmaster(who: str) -> None:
    assert CATCH_ALL.route(f"{who}@north.test", postmaster=SAMI) == Local((SAMI,))


def test_targets_lead_to_the_catch_all_and_to_the_postmaster_too() -> None:
    caught = CATCH_ALL.route("info@north.test")
    assert isinstance(caught, Local)
    assert caught.entries == (AMAL,)
    assert caught.via == (address("info@north.test"), address("*@north.test"))
    helped = CATCH_ALL.route("help@north.test", postmaster=SAMI)
    assert helped == Local((SAMI,), via=(address("help@north.test"),))
