from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.address_list import MAX_ADDRESSES, Group, parse_address_list, read_from


def specs(value: str) -> list[tuple[str, str]]:
    return [(one.display_name, one.spec) for one in parse_address_list(value).people]


@pytest.mark.parametrize(
    ("value", "people"),
    [
        # RFC 5322 appendix A.1.
        ("John Doe <jdoe@machine.example>", [("John Doe", "jdoe@machine.example")]),
        (
            '"Joe Q. Public" <john.q.public@example.com>',
            [("Joe Q. Public", "john.q.public@example.com")],
        ),
        (
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            [("Mary Smith", "mary@x.test"), ("", "jdoe@example.org"), ("Who?", "one@y.test")],
        ),
        (
            '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
            [("", "boss@nil.test"), ('Giant; "Big" Box', "sysservices@example.net")],
        ),
        # Appendix A.5 and A.6: comments, obsolete forms.
        (
            "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [("Pete", "pete@silly.test")],
        ),
        ("Joe <@node.test,@b.test:joe@example.org>", [("Joe", "joe@example.org")]),
        ("john . public @ example . com", [("", "john.public@example.com")]),
        (
            "zayd (home) @ c.test, g: lina@ (work) c.test;",
            [("home", "zayd@c.test"), ("work", "lina@c.test")],
        ),
        ("n (a) . (b) m (c)\r\n (d) @ (e) c (f) . (g (h)) test (Nur)", [("Nur", "n.m@c.test")]),
        ("Nur (a) Salim (b) <n@c.test>", [("Nur Salim", "n@c.test")]),
        ("n@c.test (Nur \\(work\\))", [("Nur (work)", "n@c.test")]),
        ("Nur < n . (a) m @ c . (b) test >", [("Nur", "n.m@c.test")]),
        ('<"a".b."c d"@c.test>', [("", '"a.b.c d"@c.test')]),
        ("joe@example.org (Joe Public)", [("Joe Public", "joe@example.org")]),
        (",, a@b.test ,", [("", "a@b.test")]),
        ("postmaster@[192.0.2.1]", [("", "postmaster@[192.0.2.1]")]),
        # RFC 6532, RFC 2047.
        ("سلمى <سلمى@زاجل.test>", [("سلمى", "سلمى@زاجل.test")]),
        ("=?utf-8?B?2LPZhNmF2Yk=?= <a@xn--mgbhr8cxb.test>", None),
        ('"a b"@x.test', [("", '"a b"@x.test')]),
    ],
)
def test_addresses_of_the_rfc(value: str, people: list[tuple[str, str]] | None) -> None:
    listed = parse_address_list(value)
    assert not listed.defects
    assert all(one.address is not None for one in listed.people)
    if people is not None:
        assert specs(value) == people


@pytest.mark.parametrize(
    ("value", "route"),
    [("<@a.test:joe@b.test>", "@a.test"), ("<,@a.test,,@c.test: joe@b.test>", "@a.test,,@c.test"),
     ("<joe@b.test>", ""), ("joe@b.test", "")],
)  # fmt: skip
def test_a_source_route_is_kept_beside_the_address(value: str, route: str) -> None:
    """RFC 5322 section 4.4."""
    (one,) = parse_address_list(value).people
    assert (one.route, one.spec) == (route, "joe@b.test")


def test_groups_keep_their_members() -> None:
    listed = parse_address_list(
        "A Group:Ed Jones <c@a.test>,joe@where.test;, Undisclosed recipients:;, x@y.test"
    )
    group, empty, single = listed.items
    assert isinstance(group, Group)
    assert group.display_name == "A Group"
    assert [one.spec for one in group.members] == ["c@a.test", "joe@where.test"]
    assert isinstance(empty, Group)
    assert empty.members == ()
    assert not isinstance(single, Group)
    assert len(listed.people) == 3


@pytest.mark.parametrize(
    "value",
    ["alice@example.org)bob@evil.example", "alice@example.org(<bob@evil.example>", "a@b@c.test",
     "John Smith", "<>", "a@", "@b.test", '""@', "<a@b.test", "a@b.test <c@d.test>",
     "a@b.test> c@d.test", "a b@c.test", "a,b@c.test <x@y.test> z",
     "a (x) b@c.test", "a(x)b@c.test", "a@b(x)c.test", "a@b.test (x) @ c.test",
     "<a b@c.test>", "x <a(y)b@c.test>", "<a@b c.test>", "g: <a b@c.test>;", "<@r.test:a b@c.test>",
     'a"b"@c.test', '<a"b"@c.test>', '"" b@c.test', '"a." b@c.test', '<"a" "b"@c.test>',
     "<a@[192.0.2.1]c.test>", "<a@b.test [192.0.2.1]>"],
)  # fmt: skip
def test_cve_2023_27043_doubtful_addresses_are_marked(value: str) -> None:
    """``parseaddr`` gave an address that was not the one a reader saw."""
    listed = parse_address_list(value)
    assert listed.defects or value.startswith("alice@example.org(")
    if value.startswith("alice@example.org("):
        assert specs(value)[0][1] == "alice@example.org"


@pytest.mark.parametrize(
    "value",
    ["<a b@c.test>", "<a@b c.test>", '<a"b"@c.test>', "<a(x)b@c.test>", "<@r.test:a b@c.test>"],
)
def test_words_beside_each_other_are_no_local_part(value: str) -> None:
    (one,) = parse_address_list(value).people
    assert one.address is None


def test_cve_2020_10967_empty_quoted_local_part() -> None:
    (one,) = parse_address_list('""@x.test').people
    assert one.address is not None
    assert one.spec == '""@x.test'


def test_cve_2024_23184_many_addresses_are_cut() -> None:
    listed = parse_address_list("a@b.test," * 200_000)
    assert len(listed.people) == MAX_ADDRESSES
    assert "too many addresses" in listed.defects


def test_cve_2019_19722_group_without_end() -> None:
    listed = parse_address_list("group: a@b.test, (c")
    assert [one.spec for one in listed.people] == ["a@b.test"]


@pytest.mark.parametrize(
    "piece", ["(", '"\\', '"', "<", "[", "a ", ":", ";", "@", "<@:", "=?", "(a)", "((()", "a,"]
)
def test_cve_2026_90776_nested_comments_and_open_quotes_take_linear_time(piece: str) -> None:
    """A parser that is quadratic takes minutes for each of these."""
    parse_address_list(piece * 60_000 + '"')


def test_a_value_is_read_up_to_its_cap() -> None:
    """CVE-2024-23185: huge header fields."""
    assert "too long" in parse_address_list("x" * 1_000_000).defects


@given(st.text(alphabet='ab@.<>(),:;"\\[] \r\n=?س', max_size=120) | st.text(max_size=60))
def test_no_value_makes_it_raise(value: str) -> None:
    listed = parse_address_list(value)
    for one in listed.people:
        assert isinstance(one.display_name, str)
        assert isinstance(one.spec, str)
        assert one.address is not None or listed.defects
    parse_address_list(value.encode("utf-8", "replace"))


@given(st.binary(max_size=100))
def test_no_bytes_make_it_raise(value: bytes) -> None:
    parse_address_list(value)


@pytest.mark.parametrize(
    "value",
    [
        b"Amal Nasser <amal@North.test>",
        b'"Nasser, Amal" <amal@north.test>',
        b'"" <amal@north.test>',
        b'"a@b.test " <amal@north.test>',
        b"<amal@north.test>\r\n",
        b" a  b <amal@north.test>",
        b"=?utf-8?q?x?= <amal.n+x@north.test>",
        b"a@b.test, c@d.test",
    ],
)
def test_from_is_read_as_the_parser_reads_it(value: bytes) -> None:
    assert read_from(value) == parse_address_list(value)


@given(st.text(alphabet='ab1@.-<>" =?,;:()\\xn\t', max_size=60).map(str.encode))
def test_the_short_cut_for_from_agrees_with_the_parser(value: bytes) -> None:
    for one in (value, b"a <a@" + value + b">", value + b" <a@b.test>", b'"' + value + b'" <a@b>'):
        assert read_from(one) == parse_address_list(one)
