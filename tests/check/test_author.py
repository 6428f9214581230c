"""Who the authors of a mail are, as it is written and as it may be read."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.check.sender.author import Authors, find_authors
from zajil.message.fields import read_fields


def authors_of(*values: str | bytes) -> Authors:
    header = b"".join(
        b"From: " + (one if isinstance(one, bytes) else one.encode()) + b"\r\n" for one in values
    )
    return find_authors(read_fields(header))


@pytest.mark.parametrize(
    ("value", "domains", "shown"),
    [
        ("joe@bank.test", "bank.test", ""),
        ("Joe Bank <joe@Bank.test>", "bank.test", ""),
        ('"Bank, Joe" <joe@bank.test>', "bank.test", ""),
        ("joe@bank.test (Joe)", "bank.test", ""),
        ("joe @ bank . test", "bank.test", ""),
        ("a@bank.test, B <b@shop.test>", "bank.test shop.test", ""),
        ("team: a@bank.test, b@shop.test;", "bank.test shop.test", ""),
        ("joe@شمال.test", "xn--mgbz1cc.test", ""),
        ("joe@bank.test\u200b", "bank.test", ""),
        ("joe@[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]", ""),
        ("joe@[192.0.2.1]", "[192.0.2.1]", ""),
        ('"joe@bank.test" <joe@bank.test>', "bank.test", ""),
        ('"joe@mail.bank.test" <joe@bank.test>', "bank.test", ""),
        ('"Joe @joe" <joe@bank.test>', "bank.test", ""),
        ('"news @shop.test" <news@esp.test>', "esp.test", ""),
        ('"support@shop.test" <bounce@esp.test>', "esp.test", "shop.test"),
        ("=?utf-8?q?support=40Shop=2Etest?= <bounce@esp.test>", "esp.test", "shop.test"),
        ('"support＠shop．test" <bounce@esp.test>', "esp.test", "shop.test"),
        ("bounce@esp.test (support@shop.test)", "esp.test", "shop.test"),
        ('"support@shop.test"@esp.test', "esp.test", "shop.test"),
        ("support%shop.test@esp.test", "esp.test", "shop.test"),
        ("support%40shop.test@esp.test", "esp.test", "shop.test"),
        ('"<@joe" <joe@bank.test>', "bank.test", ""),
        ('"joe@a.test, ann@b.test via pigeons" <list@c.test>', "c.test", "a.test b.test"),
    ],
)
def test_a_from_that_can_be_read(value: str, domains: str, shown: str) -> None:
    """Its authors are those it names; what stands beside them is only shown."""
    found = authors_of(value)
    assert found.is_readable
    assert found.are_all
    assert (" ".join(found.domains), " ".join(found.shown)) == (domains, shown)


@pytest.mark.parametrize(
    "value",
    [
        "Joe ceo@bank.test",
        '"Joe" ceo@bank.test',
        "Joe (the boss) ceo@bank.test",
        "ceo@bank.test>",
        "<ceo@bank.test",
        "ceo@bank.test <",
        "ceo@bank.test <>",
        "ceo@bank.test <nobody>",
        "<<ceo@bank.test>>",
        "[ceo@bank.test]",
        "{ceo@bank.test}",
        "'ceo@bank.test' Joe",
        "mailto ceo@bank.test",
        "ceo@ bank.test>",
        "ceo @bank.test>",
        "ceo@bank. test>",
        "ceo@bank .test Joe",
        "ceo@@bank.test",
        "ceo@.bank.test",
        "ceo@bank.test..",
        "ceo@<bank.test>",
        'ceo@"bank.test"',
        "ceo@[bank.test]",
        "ceo@bank\\.test",
        "ceo\\@bank.test Joe",
        "ceo@bank(x).test Joe",
        "ceo@ba(x)nk.test Joe",
        '"ceo@bank.test"',
        '"ceo@bank.test',
        '"ceo@bank.test" <>',
        "(ceo@bank.test)",
        "(ceo@bank.test",
        "ceo@bank.test:;",
        "ceo@bank.test: x@evil.test;",
        "=?utf-8?q?ceo=40bank=2Etest?=",
        "=?utf-8?b?Y2VvQGJhbmsudGVzdA==?= <>",
        "=?utf-8?q?ceo?= @bank.test>",
        "ceo@=?utf-8?q?bank=2Etest?=",
        "=?utf-8?q?=3Cceo=40bank=2Etest=3E?=",
        "=?utf-8?q?ceo=40ba?= =?utf-8?q?nk=2Etest?=",
        "ceo＠bank.test",
        "ceo﹫bank.test",
        "ｃｅｏ＠ｂａｎｋ．ｔｅｓｔ",
        "ceo＠bank。test",
        "ceo@ba\u200bnk.test Joe",
        "ceo@ba\u00adnk.test Joe",
        "\u202eceo@bank.test\u202c Joe",
        "ceo@bank.test\x00evil.test",
        "ceo@ba\x00nk.test Joe",
        "ceo\x01@bank.test",
        "ceo@bank.test\x7f",
        "ceo%40bank.test",
        "ceo%bank.test",
        "<%@bank.test",
        "ceo(at)bank.test",
        "ceo [AT] bank.test",
        "@bank.test",
        "<@bank.test>",
        "<x@evil.test> ceo@bank.test",
        "<x@evil.test> <ceo@bank.test>",
        "<ceo@bank.test> <x@evil.test>",
        "<ceo@bank.test>x@evil.test",
        "x@evil.test)ceo@bank.test",
        "ceo@bank.test x@evil.test",
        "x@evil.test;ceo@bank.test>",
        "ceo@bank.test, x@evil.test <",
        "ceo@bank.test@evil.test",
        "x@evil.test@bank.test",
        "\r\n Joe\r\n ceo@bank\r\n .test",
        b"Jos\xe9 ceo@bank.test",
        b"\xff\xfe ceo@bank.test",
        b"\xfe\xff\xfe\xff ceo@bank.test x",
    ],
)
def test_what_cannot_be_read_names_every_domain_one_may_read(value: str | bytes) -> None:
    found = authors_of(value)
    assert not found.is_readable
    assert "bank.test" in found.domains


def test_what_is_no_name_is_no_author() -> None:
    """Nobody can be asked about it, and too many of them would refuse the mail."""
    for value in ("ceo@bank.test>", "ceo@[bank.test]", "ceo@bank.test <x>>", "Joe ceo@bank.test"):
        assert authors_of(value).domains == ("bank.test",)


@pytest.mark.parametrize(
    "values",
    [
        ("ceo@bank.test", "x@evil.test"),
        ("x@evil.test", "Joe ceo@bank.test"),
        ("x@evil.test", '"ceo@bank.test" <x@evil.test>'),
        ("x@evil.test", "", "ceo@bank.test>"),
    ],
)
def test_of_several_fields_each_may_be_shown(values: tuple[str, ...]) -> None:
    found = authors_of(*values)
    assert not found.is_readable
    assert {"bank.test", "evil.test"} <= set(found.domains)


def test_an_address_before_the_angle_bracket_is_shown() -> None:
    """Newsletters forget the quotes; some programs take it for the author."""
    found = authors_of("support@shop.test <bounce@esp.test>")
    assert found == Authors(("esp.test",), True, False, ("shop.test",))
    found = authors_of("support@esp.test <bounce@esp.test>")
    assert found == Authors(("esp.test",), True, False, ())


@pytest.mark.parametrize(
    "value", ["", " ", "Joe", '"Joe"', "<>", "Joe <>", "Joe <bank.test>", "undisclosed:;", "<@>"]
)
def test_a_from_without_any_address(value: str) -> None:
    found = authors_of(value)
    assert (found.domains, found.is_readable) == ((), False)


def test_no_from_at_all() -> None:
    assert find_authors([]) == Authors((), True, False)


@pytest.mark.parametrize(
    "value",
    [
        "a@b.test>" * 2000,
        "@" * 100_000,
        "@" + " " * 100_000,
        "a@" + "b." * 50_000,
        "a@b .c" * 50_000,
        "(at)" * 50_000,
        "=?utf-8?q?=40?= " * 20_000,
        "((((" * 50_000,
        "\\" * 100_000,
        "\u200b@" * 50_000,
    ],
)
def test_a_long_one_is_read_in_no_time(value: str) -> None:
    began = time.process_time()
    found = authors_of(value)
    assert time.process_time() - began < 20
    assert not found.are_all or not found.domains


@given(st.binary(max_size=200))
def test_any_bytes_may_stand_there(value: bytes) -> None:
    authors_of(value.replace(b"\n", b""))
