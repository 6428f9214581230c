"""SPF (RFC 7208): what the suite of the standard (``test_spf_suite``) leaves out."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.zone import Zone, run_flow_on_answers, run_flow_on_zone
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.spf import SpfFound, SpfQuery, check_spf, check_spf_helo
from zajil.mailauth.spf_macro import MAX_NAME
from zajil.mailauth.spf_questions import MAX_LOOKUPS
from zajil.mailauth.spf_record import BadRecord, SpfRecord, parse_record

# RFC 7208 appendix A.
APPENDIX: dict[str, dict[str, list[str]]] = {
    "example.com": {"MX": ["10 mail-a.example.com", "20 mail-b.example.com"],
                    "A": ["192.0.2.10", "192.0.2.11"]},
    "amy.example.com": {"A": ["192.0.2.65"]},
    "bob.example.com": {"A": ["192.0.2.66"]},
    "mail-a.example.com": {"A": ["192.0.2.129"]},
    "mail-b.example.com": {"A": ["192.0.2.130"]},
    "www.example.com": {"A": ["192.0.2.10", "192.0.2.11"]},
    "example.org": {"MX": ["10 mail-c.example.org"]},
    "mail-c.example.org": {"A": ["192.0.2.140"]},
    "10.2.0.192.in-addr.arpa": {"PTR": ["example.com"]},
    "11.2.0.192.in-addr.arpa": {"PTR": ["example.com"]},
    "65.2.0.192.in-addr.arpa": {"PTR": ["amy.example.com"]},
    "66.2.0.192.in-addr.arpa": {"PTR": ["bob.example.com"]},
    "129.2.0.192.in-addr.arpa": {"PTR": ["mail-a.example.com"]},
    "130.2.0.192.in-addr.arpa": {"PTR": ["mail-b.example.com"]},
    "140.2.0.192.in-addr.arpa": {"PTR": ["mail-c.example.org"]},
    "4.0.0.10.in-addr.arpa": {"PTR": ["bob.example.com"]},
}  # fmt: skip


def check(
    zone: Zone, ip: str = "192.0.2.1", sender: str = "sami@south.test", helo: str = "mx.south.test"
) -> SpfFound:
    return run_flow_on_zone(check_spf(SpfQuery(ip_address(ip), sender, helo)), zone)


def record(text: str, **others: dict[str, list[str]] | None) -> Zone:
    return {
        "south.test": {"TXT": [text]},
        **{name.replace("_", "."): v for name, v in others.items()},
    }


@pytest.mark.parametrize(
    ("text", "ip", "result"),
    [
        ("v=spf1 +all", "10.0.0.4", "pass"),
        ("v=spf1 a -all", "192.0.2.10", "pass"),
        ("v=spf1 a -all", "192.0.2.65", "fail"),
        ("v=spf1 a:example.org -all", "192.0.2.10", "fail"),
        ("v=spf1 mx -all", "192.0.2.129", "pass"),
        ("v=spf1 mx:example.org -all", "192.0.2.140", "pass"),
        ("v=spf1 mx mx:example.org -all", "192.0.2.130", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", "pass"),
        ("v=spf1 ptr -all", "192.0.2.65", "pass"),
        ("v=spf1 ptr -all", "192.0.2.140", "fail"),
        ("v=spf1 ptr -all", "10.0.0.4", "fail"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", "pass"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", "fail"),
    ],
)  # fmt: skip
def test_the_examples_of_the_standard(text: str, ip: str, result: str) -> None:
    """RFC 7208 appendix A.1."""
    zone = {**APPENDIX, "example.com": {**APPENDIX["example.com"], "TXT": [text]}}
    assert check(zone, ip, "strong-bad@example.com").result == result


def test_each_result_is_a_sentence() -> None:
    fail = check(record("v=spf1 ip4:192.0.2.9 -all"))
    assert fail.reason == "south.test does not authorize 192.0.2.1 to send its mail (-all)"
    assert fail.inputs == ("TXT south.test -> v=spf1 ip4:192.0.2.9 -all (ttl 300)",)
    assert check(record("v=spf1 ip4:192.0.2.1 -all")).reason == (
        "south.test authorizes 192.0.2.1 to send its mail (ip4:192.0.2.1)"
    )
    assert check({}).reason == "south.test has no SPF record"
    assert check({"south.test": None}).reason == (
        "DNS lookup of the SPF record of south.test failed"
    )
    assert "malformed" in check(record("v=spf1 ip4:nonsense")).reason
    by_another = check(record("v=spf1 redirect=spf.test", spf_test={"TXT": ["v=spf1 -all"]}))
    assert by_another.reason.endswith("(-all), according to the record of spf.test")


def test_a_null_path_is_the_postmaster_of_the_helo_name() -> None:
    """RFC 7208 section 2.4."""
    zone: Zone = {"mx.south.test": {"TXT": ["v=spf1 exists:%{l}.%{o} -all"]},
                  "postmaster.mx.south.test": {"A": ["127.0.0.2"]}}  # fmt: skip
    found = check(zone, sender="")
    assert (found.result, found.identity, found.domain) == ("pass", "mailfrom", "mx.south.test")
    helo = run_flow_on_zone(
        check_spf_helo(SpfQuery(ip_address("192.0.2.1"), "", "mx.south.test")), zone
    )
    assert (helo.result, helo.identity) == ("pass", "helo")


def test_an_arabic_sender() -> None:
    """RFC 8616 section 4: the domain in A-labels; a local part that is not ASCII is in no name."""
    domain = "xn--mgbai9azgqp6j.test"
    zone: Zone = {domain: {"TXT": ["v=spf1 exists:%{l}.allowed.test ip4:192.0.2.1 -all"]},
                  "xn--wgbl6a.allowed.test": {"A": ["127.0.0.2"]}}  # fmt: skip
    found = check(zone, sender="سلمى@السعودية.test")
    assert (found.result, found.domain) == ("none", "xn--mgberp4a5d4ar.test")
    found = check({"xn--mgberp4a5d4ar.test": zone[domain]}, sender="سلمى@السعودية.test")
    assert found.result == "pass"
    assert "ip4" in found.reason


@pytest.mark.parametrize(
    "term", ["exists:%{l}.b.test", "include:%{s}", "a:%{l}.b.test", "ptr:%{l}"]
)
def test_terms_with_a_local_part_beyond_ascii_match_nothing(term: str) -> None:
    """RFC 8616 section 4: no permanent error either."""
    assert check(record(f"v=spf1 {term} ?all"), sender="سلمى@south.test").result == "neutral"


def test_an_explanation_is_plain_even_for_a_sender_who_is_not() -> None:
    zone = record("v=spf1 -all exp=why.%{d}", why_south_test={"TXT": ["%{l} at %{h} says %{S}"]})
    found = check(zone, sender="سلمى@south.test", helo="a\r\nb\x1b")
    assert found.explanation == "???? at a??b? says %D8%B3%D9%84%D9%85%D9%89%40south.test"


def test_a_term_of_any_length_leaves_a_short_sentence() -> None:
    text = "v=spf1 exists:" + "%{d}." * 400 + "test ?ip4:192.0.2.1"
    assert len(check({"south.test": {"TXT": [text]}}).reason) < 300


def test_an_address_in_ipv6_clothes_is_ipv4() -> None:
    assert check(record("v=spf1 ip4:192.0.2.1 -all"), "::ffff:192.0.2.1").result == "pass"


@pytest.mark.parametrize(
    "helo", ["", "localhost", "[192.0.2.1]", "a..b", "x" * 64 + ".test", "\0.test"]
)
def test_what_is_no_domain_has_no_policy(helo: str) -> None:
    assert check({}, sender="", helo=helo).result == "none"


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 a:",
        "v=spf1 ip4:1.2.3.4/33",
        "v=spf1 ip4:1.2.3.4/",
        "v=spf1 ip6:::1/129",
        "v=spf1 all:x.test",
        "v=spf1 a/024",
        "v=spf1 a:b.test/33",
        "v=spf1 a:b.test//129",
        "v=spf1 include",
        "v=spf1 mx:%{x}.test",
        "v=spf1 exists:%{d0}.test",
        "v=spf1 redirect=a.test redirect=b.test",
        "v=spf1 \x00all",
        "v=spf1 ptr/24",
        "v=spf1 exp=%{c}.test",
        "v=spf1 unknown",
        "v=spf1 a:test",
        "v=spf1 ip6:fe80::1%eth0",
        "v=spf1 moo=%{",
    ],
)
def test_one_mistake_makes_the_whole_record_one(text: str) -> None:
    """RFC 7208 section 4.6: also behind a term that would have matched."""
    assert isinstance(parse_record(text), BadRecord)
    assert check(record(text.replace("v=spf1", "v=spf1 +all", 1))).result == "permerror"


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1",
        "V=SPF1 -ALL",
        "v=spf1  a   mx ",
        "v=spf1 a:b.test/24//64",
        "v=spf1 a//64",
        "v=spf1 exists:%%.%{lr-+}._spf.%{D}",
        "v=spf1 unknown=%{d}/x:y",
        "v=spf1 ptr:%{d2}",
        "v=spf1 a:%{d}/24",
    ],
)
def test_well_formed_records(text: str) -> None:
    assert isinstance(parse_record(text), SpfRecord)


def test_questions_are_counted_over_includes() -> None:
    """RFC 7208 section 4.6.4."""
    names = [f"i{number}.test" for number in range(20)]
    zone: dict[str, dict[str, list[str]]] = {
        name: {"TXT": [f"v=spf1 include:{following} -all"]}
        for name, following in zip(["south.test", *names], names, strict=False)
    }
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        texts = tuple(zone.get(question.name, {}).get(question.type, ()))
        return Answer(
            question=question,
            outcome=Outcome.FOUND if texts else Outcome.NO_NAME,
            values=texts,
            ttl_seconds=60,
        )

    query = SpfQuery(ip_address("192.0.2.1"), "a@south.test", "x.test")
    found = run_flow_on_answers(check_spf(query), answer)
    assert found.result == "permerror"
    assert len(asked) == MAX_LOOKUPS + 1


VOID_HOSTS = ("10 h1.test", "20 h2.test", "30 h3.test", "40 good.test")
GOOD = {"good.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}}


@pytest.mark.parametrize("hosts", [*permutations(VOID_HOSTS)])
@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1"])
def test_mail_hosts_without_an_address_are_not_counted(hosts: tuple[str, ...], ip: str) -> None:
    """RFC 7208 section 4.6.4 counts terms; hosts of one family are no mistake of the record."""
    zone = {**record("v=spf1 a:x.test mx:m.test -all"), **GOOD, "m.test": {"MX": list(hosts)}}
    assert check(zone, ip).result == "pass"


def test_hosts_of_several_terms_are_not_counted_either() -> None:
    zone = {
        **record("v=spf1 mx:m.test include:i.test ip6:2001:db8::2 -all"),
        "i.test": {"TXT": ["v=spf1 mx:m.test mx:m.test a:h1.test exists:h2.test -all"]},
        "m.test": {"MX": ["10 h1.test", "10 h2.test", "10 h3.test", "10 h4.test"]},
        "h4.test": {"A": ["192.0.2.9"]},
    }
    assert check(zone, "2001:db8::2").result == "pass"
    assert check(zone, "2001:db8::3").result == "fail"


@pytest.mark.parametrize("third", ["a:x3.test", "mx:x3.test", "exists:x3.test", "ptr", "a:%{p}"])
def test_the_third_term_that_finds_nothing_ends_it(third: str) -> None:
    two = "v=spf1 a:x1.test mx:x2.test"
    assert check(record(f"{two} ip4:192.0.2.1 {third} -all")).result == "pass"
    assert check(record(f"{two} -all")).result == "fail"
    assert check(record(f"{two} {third} ip4:192.0.2.1 -all")).result == "permerror"


@pytest.mark.parametrize("dead", [{"A": []}, None])
@pytest.mark.parametrize("at", range(4))
def test_the_order_of_mail_hosts_does_not_decide(
    dead: dict[str, list[str]] | None, at: int
) -> None:
    """Not even where DNS does not answer for one of them: another may match."""
    hosts = ["10 d1.test", "10 d2.test", "10 d3.test"]
    hosts.insert(at, "10 good.test")
    zone = {**record("v=spf1 mx:m.test -all"), **GOOD, "m.test": {"MX": hosts}}
    zone |= {f"d{number}.test": dead for number in (1, 2, 3)}
    assert check(zone).result == "pass"
    assert check(zone, "192.0.2.2").result == ("temperror" if dead is None else "fail")


@pytest.mark.parametrize("names", [list(range(14)), list(range(13, -1, -1))])
def test_the_order_of_names_of_an_address_does_not_decide(names: list[int]) -> None:
    """RFC 7208 section 5.5: ten names are looked at; those without an address are not counted."""
    listed = [f"n{number}.other.test" for number in names]
    listed.insert(len(listed) // 2, "mail.south.test")
    zone = {
        **record("v=spf1 a:x.test exists:y.test ptr exists:%{p}.z.test -all"),
        "1.2.0.192.in-addr.arpa": {"PTR": listed},
        "mail.south.test": {"A": ["192.0.2.1"]},
    }
    assert check(zone).result == "pass"


def test_a_record_that_includes_itself_ends() -> None:
    assert check(record("v=spf1 include:south.test -all")).result == "permerror"
    assert check(record("v=spf1 redirect=south.test")).result == "permerror"


def test_a_macro_makes_no_name_longer_than_a_name() -> None:
    """CVE-2021-33912, CVE-2021-33913."""
    asked: list[str] = []
    text = "v=spf1 exists:" + "%{S}" * 300 + ".%{d} -all"

    def answer(question: Question) -> Answer:
        asked.append(question.name)
        return Answer(
            question=question,
            outcome=Outcome.FOUND,
            values=(text,) if question.type == "TXT" else ("127.0.0.2",),
            ttl_seconds=60,
        )

    run_flow_on_answers(
        check_spf(SpfQuery(ip_address("192.0.2.1"), "x" * 60 + "ü" + "@south.test", "h.test")),
        answer,
    )
    query = SpfQuery(ip_address("192.0.2.1"), "a.b" * 20 + "@south.test", "h.test")
    assert run_flow_on_answers(check_spf(query), answer).result == "pass"
    assert all(len(name) <= MAX_NAME for name in asked)


def test_an_explanation_is_the_domains_own_and_ascii() -> None:
    zone = record("v=spf1 -all exp=why.%{d}", why_south_test={"TXT": ["%{i} is%_not %{d} at %{r}"]})
    assert check(zone).explanation == "192.0.2.1 is not south.test at unknown"
    for bad in ("\xe9", "%{x}", "%"):
        zone = record("v=spf1 -all exp=why.%{d}", why_south_test={"TXT": [bad]})
        assert check(zone).explanation is None


@given(st.text(max_size=300))
def test_no_record_raises(text: str) -> None:
    check(record("v=spf1 " + text))
    parse_record("v=spf1" + text)


@settings(max_examples=40)
@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "mx",
                "ptr",
                "exists:%{ir}.%{p}.test",
                "include:%{d}",
                "a:%{h}",
                "-all",
                "?mx:%{o2r}.t",
            ]
        ),
        max_size=14,
    ),
    st.lists(
        st.tuples(st.sampled_from(list(Outcome)), st.lists(st.text(max_size=30), max_size=12)),
        min_size=1,
        max_size=12,
    ),
    st.text(max_size=40),
    st.text(max_size=40),
)
def test_no_answer_raises(
    terms: list[str], answers: list[tuple[Outcome, list[str]]], sender: str, helo: str
) -> None:
    text = "v=spf1 " + " ".join(terms)
    count = 0

    def answer(question: Question) -> Answer:
        nonlocal count
        outcome, values = answers[count % len(answers)]
        count += 1
        if question.type == "TXT" and count % 3 == 1:
            values = [text]
        return Answer(question=question, outcome=outcome, values=tuple(values), ttl_seconds=60)

    query = SpfQuery(ip_address("2001:db8::1"), sender + "@south.test", helo)
    found = run_flow_on_answers(check_spf(query), answer)
    assert found.result in {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}
    assert count <= 1 + MAX_LOOKUPS * 12
