from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.dmarc_record import DmarcRecord, lower_policy, parse_dmarc_record


def test_a_record_as_people_publish_it() -> None:
    """RFC 9989 section 4.7."""
    record = parse_dmarc_record(
        "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; fo=1:d:s; psd=n; t=y; "
        "rua=mailto:a@north.test,mailto:b@south.test; ruf=mailto:c@north.test"
    )
    assert record == DmarcRecord(
        policy="reject",
        subdomain_policy="quarantine",
        absent_policy="none",
        strict_dkim=True,
        report_to=("mailto:a@north.test", "mailto:b@south.test"),
        failure_to=("mailto:c@north.test",),
        failure_options=frozenset("1ds"),
        psd="n",
        is_testing=True,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p=none; v=DMARC1",
        "v=DMARC2; p=none",
        "v=dmarc1; p=none",
        "v=DMARC1 p=none",
        "v=DMARC10; p=none",
        " v=DMARC1; p=none",
        "v=spf1 -all",
    ],
)
def test_the_version_comes_first_and_is_case_sensitive(text: str) -> None:
    """RFC 9989 section 4.7: otherwise the entire record is ignored."""
    assert parse_dmarc_record(text) is None


@pytest.mark.parametrize("text", ["v=DMARC1; p=none", "v=DMARC1;p=none;", "V = DMARC1 ; P = None"])
def test_white_space_and_case_where_the_grammar_has_them(text: str) -> None:
    """RFC 9989 section 4.8."""
    record = parse_dmarc_record(text)
    assert record is not None
    assert (record.policy, record.is_applicable) == ("none", True)


def test_subdomains_take_what_is_nearest() -> None:
    """RFC 9989 section 4.7: ``np`` falls back to ``sp``, and that to ``p``."""

    def policies(text: str) -> tuple[str, str, str]:
        record = parse_dmarc_record(f"v=DMARC1; {text}")
        assert record is not None
        return record.policy, record.subdomain_policy, record.absent_policy

    assert policies("p=reject") == ("reject", "reject", "reject")
    assert policies("p=none; sp=reject") == ("none", "reject", "reject")
    assert policies("p=none; np=reject") == ("none", "none", "reject")


@pytest.mark.parametrize(
    "broken", ["p=refuse", "sp=none", "p=none; sp=maybe", "p=none; np=x", "p=", ""]
)
def test_without_a_valid_policy_only_reports_are_wanted(broken: str) -> None:
    """RFC 9989 section 4.10.1: with an address it is ``p=none``, without one nothing."""
    wanted = parse_dmarc_record(f"v=DMARC1; {broken}; rua=mailto:a@north.test")
    unwanted = parse_dmarc_record(f"v=DMARC1; {broken}; rua=nowhere")
    assert wanted is not None
    assert (wanted.policy, wanted.subdomain_policy, wanted.is_applicable) == ("none", "none", True)
    assert unwanted is not None
    assert not unwanted.is_applicable


def test_what_is_wrong_in_the_rest_is_dropped() -> None:
    """RFC 9989 section 4.8; ``pct``, ``rf`` and ``ri`` are historic (section 9.3)."""
    plain = parse_dmarc_record("v=DMARC1; p=reject")
    assert plain is not None
    odd = "v=DMARC1; p=reject; adkim=x; aspf=; fo=0:1; psd=q; t=maybe; =; ;; w=1; bad tag=2; é=3"
    assert parse_dmarc_record(odd) == plain
    empty = "v=DMARC1;; p=reject; sp=; np= ; x-tag=1; x.y; ;"
    assert parse_dmarc_record(empty) == plain
    assert parse_dmarc_record("v=DMARC1; p=reject; rf=afrf; ri=1") == plain
    assert parse_dmarc_record("v=DMARC1; p=reject; pct=100") == plain
    sampled = replace(plain, is_sampled=True)
    assert parse_dmarc_record("v=DMARC1; p=reject; pct=0") == sampled


def test_of_a_tag_that_comes_twice_the_first_counts() -> None:
    record = parse_dmarc_record("v=DMARC1; p=reject; p=none")
    assert record is not None
    assert record.policy == "reject"


def test_addresses_lose_their_size_limit_and_have_a_number() -> None:
    """RFC 9989 section 4.8: ``obs-dmarc-report-size`` is ignored."""
    many = ",".join(f"mailto:a{number}@north.test!{number}m" for number in range(50))
    record = parse_dmarc_record(f"v=DMARC1; p=none; rua={many}, ,not a uri,mailto:x y@z")
    assert record is not None
    assert record.report_to == tuple(f"mailto:a{number}@north.test" for number in range(10))


def test_a_domain_that_tests_asks_for_one_step_less() -> None:
    """RFC 9989 section 4.7, tag ``t``."""
    assert [lower_policy(policy) for policy in ("reject", "quarantine", "none")] == [
        "quarantine",
        "none",
        "none",
    ]


@given(st.text(max_size=60), st.text(max_size=200))
def test_no_text_makes_it_raise(before: str, after: str) -> None:
    parse_dmarc_record(before + after)
    record = parse_dmarc_record(f"v=DMARC1;{after}")
    assert record is None or record.policy in ("none", "quarantine", "reject")
