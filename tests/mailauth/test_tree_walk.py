from __future__ import annotations

import pytest

from kit.zone import Zone, run_flow_on_zone
from zajil.dns.flow import Flow
from zajil.mailauth.tree_walk import (
    RecordBook,
    WalkFailed,
    organizational_domain,
    walk_names,
    walk_tree,
)


def zone(**records: str) -> Zone:
    return {f"_dmarc.{name.replace('_', '.')}": {"TXT": [text]} for name, text in records.items()}


def find_organization(domain: str, zone: Zone) -> str:
    def flow() -> Flow[str]:
        return organizational_domain(domain, (yield from walk_tree(domain, RecordBook())))

    return run_flow_on_zone(flow(), zone)


def test_a_long_name_is_walked_in_eight_questions() -> None:
    """RFC 9989 section 4.10, the example there."""
    assert walk_names("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]


@pytest.mark.parametrize("count", range(1, 100))
def test_no_walk_is_longer(count: int) -> None:
    names = walk_names(".".join("a" for _ in range(count)))
    assert len(names) == min(count, 8)
    assert names[-1] == "a"


ANY = "v=DMARC1; p=none"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (zone(mail_example_com=ANY, example_com=ANY), "example.com"),
        (zone(mail_example_com=f"{ANY}; psd=n", example_com=ANY), "mail.example.com"),
        (zone(com=f"{ANY}; psd=y"), "example.com"),
        (zone(mail_example_com=ANY, com=f"{ANY}; psd=y"), "example.com"),
        (zone(example_com=f"{ANY}; psd=y", com=ANY), "mail.example.com"),
        (zone(a_mail_example_com=f"{ANY}; psd=y", com=ANY), "a.mail.example.com"),
        (zone(com=ANY), "com"),
        (zone(), "a.mail.example.com"),
    ],
)
def test_the_organizational_domain(records: Zone, expected: str) -> None:
    """RFC 9989 section 4.10.2, its rules and examples."""
    assert find_organization("a.mail.example.com", records) == expected


def test_several_records_at_a_name_are_none() -> None:
    """RFC 9989 section 4.10, steps 2 and 6; records of something else do not count."""
    records = {
        "_dmarc.mail.example.com": {"TXT": [f"{ANY}; psd=n", ANY]},
        "_dmarc.example.com": {"TXT": ["v=spf1 -all", ANY]},
    }
    assert find_organization("mail.example.com", records) == "example.com"


def test_the_walk_ends_where_dns_does_not_answer() -> None:
    with pytest.raises(WalkFailed):
        find_organization("a.example.com", {"_dmarc.example.com": None})


def test_no_name_is_asked_for_twice() -> None:
    book = RecordBook()

    def flow() -> Flow[None]:
        yield from walk_tree("a.example.com", book)
        yield from walk_tree("b.example.com", book)

    run_flow_on_zone(flow(), {})
    assert len(book.inputs) == 4


def test_a_name_that_dns_cannot_hold_is_not_asked_for() -> None:
    label = "a" * 60
    assert find_organization(".".join([label] * 4), {}).startswith(label)
