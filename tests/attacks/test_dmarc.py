"""Names and records made to get around DMARC, or to make us ask without end (attacks J)."""

from __future__ import annotations

import time

import pytest

from kit.zone import run_flow_on_answers, run_flow_on_zone
from zajil.check.sender.author import find_authors
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc import DmarcQuery, check_dmarc
from zajil.mailauth.dmarc_record import parse_dmarc_record
from zajil.message.fields import read_fields

GUARD_SECONDS = 20.0
REJECT = {"_dmarc.bank.test": {"TXT": ["v=DMARC1; p=reject"]}}


def signature(domain: str) -> DkimFound:
    return DkimFound(
        domain=domain,
        selector="s",
        algorithm="rsa-sha256",
        identity=f"@{domain}",
        result="pass",
        reason="",
        covers_from=True,
    )


def count_questions(query: DmarcQuery, text: str | None) -> int:
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        if text is None:
            return Answer(question=question, outcome=Outcome.NO_NAME)
        return Answer(question=question, outcome=Outcome.FOUND, values=(text,))

    began = time.process_time()
    run_flow_on_answers(check_dmarc(query), answer)
    assert time.process_time() - began < GUARD_SECONDS
    assert len(asked) == len(set(asked))
    return len(asked)


def test_a_name_of_a_hundred_labels_costs_eight_questions() -> None:
    """RFC 9989 section 4.10."""
    name = ".".join(["a"] * 100)
    assert count_questions(DmarcQuery((name,)), None) == 8


def test_many_signatures_of_long_names_have_a_limit() -> None:
    author = ".".join(["a"] * 20) + ".evil.test"
    signers = [signature(".".join([f"x{number}"] * 20) + ".evil.test") for number in range(100)]
    query = DmarcQuery((author,), None, signers)
    assert count_questions(query, "v=DMARC1; p=none") < 8 * 10


def test_many_authors_have_a_limit() -> None:
    authors = tuple(f"a{number}.test" for number in range(1000))
    assert count_questions(DmarcQuery(authors), None) == 0


@pytest.mark.parametrize(
    "text",
    [
        "v=DMARC1;" + "p=reject;" * 100_000,
        "v=DMARC1; rua=" + "mailto:a@b.test," * 100_000,
        "v=DMARC1" + " " * 1_000_000,
        "v=DMARC1; p=" + "=" * 100_000,
    ],
    ids=["tags", "addresses", "spaces", "equals"],
)
def test_a_hostile_record_is_read_in_no_time(text: str) -> None:
    began = time.process_time()
    record = parse_dmarc_record(text)
    assert time.process_time() - began < GUARD_SECONDS
    assert record is None or len(record.report_to) <= 10


@pytest.mark.parametrize(
    "header",
    [
        b"From: <a@evil.test>\r\nFrom: Bank <info@bank.test>\r\n",
        b"From: Bank <info@bank.test>\r\nFrom: <a@evil.test>\r\n",
        b"From: <a@evil.test>, Bank <info@bank.test>\r\n",
        b"From: team: <a@evil.test>, Bank <info@bank.test>;\r\n",
        b'From: "<a@evil.test>" <info@bank.test>\r\n',
        b"From: (<a@evil.test>) info@bank.test\r\n",
        b"From: <a@evil.test>\r\n ,\r\n info@BANK.test\r\n",
        b"From: =?utf-8?q?a=40evil.test?= <info@bank.test>\r\n",
        b"FROM : Bank <info@bank.test>\r\n",
        b"From: <@evil.test:info@bank.test>\r\n",
    ],
)
def test_no_second_name_hides_the_first(header: bytes) -> None:
    """RFC 9989 section 11.5: the domain that the reader may see is among those that are checked."""
    domains, are_all, *_ = find_authors(read_fields(header))
    assert "bank.test" in domains
    assert are_all
    found = run_flow_on_zone(
        check_dmarc(DmarcQuery(domains, None, [signature("evil.test")])), REJECT
    )
    assert (found.result, found.domain) == ("fail", "bank.test")


@pytest.mark.parametrize(
    "header",
    [
        b"From: <a@evil.test>\r\n" * 4 + b"From: Bank <info@bank.test>\r\n",
        b"From: " + b"<a@evil.test>,\r\n " * 5000 + b"Bank <info@bank.test>\r\n",
        b"From: <a@evil.test>,\r\n " + b" " * 300_000 + b"Bank <info@bank.test>\r\n",
    ],
    ids=["fields", "addresses", "length"],
)
def test_no_flood_of_authors_hides_the_last(header: bytes) -> None:
    """Whom nobody looked at is not proven by those who were (RFC 9989 section 11.5)."""
    domains, are_all, *_ = find_authors(read_fields(header))
    query = DmarcQuery(domains, None, [signature("evil.test")], are_all)
    assert run_flow_on_zone(check_dmarc(query), REJECT).result == "permerror"


@pytest.mark.parametrize("signer", ["evilbank.test", "test", "bank.test.evil.test", "xbank.test"])
def test_a_name_that_looks_alike_proves_nothing(signer: str) -> None:
    query = DmarcQuery(("bank.test",), None, [signature(signer)])
    assert run_flow_on_zone(check_dmarc(query), REJECT).result == "fail"


def test_a_subdomain_cannot_lower_the_policy_of_its_neighbours() -> None:
    """Who holds evil.bank.test may say what they like of it, and of nothing else."""
    zone = {
        **REJECT,
        "_dmarc.evil.bank.test": {"TXT": ["v=DMARC1; p=none; psd=y"]},
    }
    query = DmarcQuery(("bank.test",), None, [signature("x.evil.bank.test")])
    assert run_flow_on_zone(check_dmarc(query), zone).disposition == "reject"
