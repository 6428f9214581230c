"""Where reports may be sent (RFC 9990 section 4)."""

from __future__ import annotations

import pytest

from kit.zone import Zone, run_flow_on_answers, run_flow_on_zone
from zajil.dns.flow import Answer, Outcome, Question
from zajil.reports.dmarc.consent import MAX_DESTINATIONS, find_consent, parse_destination
from zajil.reports.kind import Destinations

ZONE: Zone = {
    "_dmarc.north.test": {"TXT": ["v=DMARC1; p=none"]},
    "_dmarc.service.example": {"TXT": ["v=DMARC1; p=none"]},
    "north.test._report._dmarc.service.example": {"TXT": ["v=DMARC1"]},
    "north.test._report._dmarc.moved.example": {
        "TXT": ["v=DMARC1; rua=mailto:new@moved.example!1k"]
    },
    "north.test._report._dmarc.evil.example": {"TXT": ["v=DMARC1; rua=mailto:victim@x.example"]},
    "north.test._report._dmarc.words.example": {"TXT": ["yes, please", "p=none; v=DMARC1"]},
    "north.test._report._dmarc.ill.example": None,
}


def consent(*uris: str, domain: str = "north.test") -> Destinations:
    return run_flow_on_zone(find_consent(domain, uris), ZONE)


def addresses(*uris: str, domain: str = "north.test") -> list[str]:
    return [str(one) for one in consent(*uris, domain=domain).addresses]


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:a@north.test", "a@north.test"),
        ("MAILTO:a%2Bb@north.test!10m", "a+b@north.test"),
        ("mailto:a@north.test?subject=x!5", "a@north.test"),
    ],
)
def test_a_uri_names_an_address(uri: str, address: str) -> None:
    """RFC 9989 section 4.8: the size of a report that older records have is of no account."""
    assert str(parse_destination(uri)) == address


@pytest.mark.parametrize(
    "uri",
    [
        "https://north.test/reports",
        "mailto:a",
        "mailto:",
        "mailto:a@[127.0.0.1]",
        "mailto:a@north.test,b@north.test",
        "mailto:a%0d%0aRCPT@north.test",
        "mailto:a%ff@north.test",
        "mailto:" + "a" * 1000 + "@north.test",
    ],
)
def test_what_mail_cannot_be_sent_to_is_no_destination(uri: str) -> None:
    assert parse_destination(uri) is None


def test_an_address_of_the_same_organization_needs_no_consent() -> None:
    assert addresses("mailto:a@north.test", "mailto:b@mail.north.test") == [
        "a@north.test",
        "b@mail.north.test",
    ]
    assert addresses("mailto:a@north.test", domain="sub.north.test") == ["a@north.test"]


def test_another_organization_must_consent() -> None:
    assert addresses("mailto:a@service.example", "mailto:a@stranger.example") == [
        "a@service.example"
    ]
    (refused,) = consent("mailto:a@stranger.example").refused
    assert refused == "stranger.example does not say that it takes reports on north.test."


def test_words_that_are_no_record_are_no_consent() -> None:
    assert addresses("mailto:a@words.example") == []


def test_who_takes_reports_may_name_another_address_of_its_own() -> None:
    assert addresses("mailto:a@moved.example") == ["new@moved.example"]


def test_a_consent_that_names_a_third_party_is_none() -> None:
    assert addresses("mailto:a@evil.example") == []


def test_a_silent_dns_is_asked_again() -> None:
    assert consent("mailto:a@ill.example").is_unsure
    assert addresses("mailto:a@ill.example", "mailto:a@service.example") == ["a@service.example"]


def test_questions_are_bounded() -> None:
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        return Answer(question=question, outcome=Outcome.NO_NAME)

    uris = tuple([f"mailto:a@x{number}.b.c.d.e.f.g.h.i.test" for number in range(50)])
    run_flow_on_answers(find_consent("north.test", uris), answer)
    assert len(asked) <= MAX_DESTINATIONS * 9 + 2
