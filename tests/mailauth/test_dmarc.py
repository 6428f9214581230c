from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.zone import Zone, run_flow_on_answers, run_flow_on_zone
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc import MAX_AUTHORS, DmarcFound, DmarcQuery, check_dmarc
from zajil.mailauth.spf import SpfFound


def spf(domain: str, result: str = "pass") -> SpfFound:
    return SpfFound(
        result=result, identity="mailfrom", domain=domain, explanation=None, reason="", inputs=()
    )


def dkim(domain: str, result: str = "pass") -> DkimFound:
    return DkimFound(
        domain=domain,
        selector="s",
        algorithm="rsa-sha256",
        identity=f"@{domain}",
        result=result,
        reason="",
        covers_from=True,
    )


def check(
    author: str | tuple[str, ...],
    zone: Zone,
    *,
    mail_from: SpfFound | None = None,
    signatures: Sequence[DkimFound] = (),
) -> DmarcFound:
    authors = (author,) if isinstance(author, str) else author
    return run_flow_on_zone(check_dmarc(DmarcQuery(authors, mail_from, signatures)), zone)


def policy(text: str, domain: str = "example.com") -> dict[str, dict[str, list[str]]]:
    return {f"_dmarc.{domain}": {"TXT": [f"v=DMARC1; {text}"]}, domain: {"A": ["192.0.2.1"]}}


REJECT = policy("p=reject")


@pytest.mark.parametrize(
    ("mail_from", "author", "tags", "expected"),
    [
        ("example.com", "example.com", "", "pass"),
        ("child.example.com", "example.com", "", "pass"),
        ("child.example.com", "example.com", "aspf=s", "fail"),
        ("example.com", "child.example.com", "", "pass"),
        ("example.net", "example.com", "", "fail"),
        ("foo.example.com", "news.example.com", "", "pass"),
        ("notexample.com", "example.com", "", "fail"),
        ("com", "example.com", "", "fail"),
    ],
)
def test_alignment_of_spf(mail_from: str, author: str, tags: str, expected: str) -> None:
    """RFC 9989 section 4.4 and its appendix B.1.1."""
    found = check(author, policy(f"p=reject; {tags}"), mail_from=spf(mail_from))
    assert found.result == expected
    assert found.alignment == (("spf",) if expected == "pass" else ())


@pytest.mark.parametrize(
    ("signer", "author", "tags", "expected"),
    [
        ("example.com", "example.com", "", "pass"),
        ("example.com", "child.example.com", "", "pass"),
        ("example.com", "child.example.com", "adkim=s", "fail"),
        ("sample.net", "child.example.com", "", "fail"),
        ("EXAMPLE.com", "example.COM", "adkim=s", "pass"),
    ],
)
def test_alignment_of_dkim(signer: str, author: str, tags: str, expected: str) -> None:
    """RFC 9989 section 4.4 and its appendix B.1.2."""
    found = check(author, policy(f"p=reject; {tags}"), signatures=[dkim(signer)])
    assert found.result == expected


def test_a_failure_asks_for_the_policy() -> None:
    found = check("example.com", REJECT, mail_from=spf("example.com", "fail"))
    assert (found.result, found.policy, found.disposition) == ("fail", "reject", "reject")
    assert found.reason == (
        "Neither SPF nor DKIM confirmed that the message is from example.com; the "
        "policy of example.com is to reject it."
    )


def test_a_pass_asks_for_nothing() -> None:
    found = check("example.com", REJECT, mail_from=spf("example.com"))
    assert (found.result, found.policy, found.disposition) == ("pass", "reject", "none")
    assert found.reason == "SPF confirmed that the message is from example.com."


def test_both_proofs_are_told() -> None:
    found = check(
        "example.com", REJECT, mail_from=spf("example.com"), signatures=[dkim("example.com")]
    )
    assert found.alignment == ("spf", "dkim")


def test_a_domain_that_tests_asks_for_one_step_less() -> None:
    """RFC 9989 section 4.7, tag ``t``."""
    found = check("example.com", policy("p=reject; t=y"))
    assert (found.policy, found.disposition) == ("reject", "quarantine")


def test_no_record_is_none() -> None:
    found = check("example.com", {}, mail_from=spf("example.com"))
    assert (found.result, found.disposition) == ("none", "none")


def test_a_record_without_policy_and_address_is_none() -> None:
    """RFC 9989 section 4.10.1."""
    assert check("example.com", policy("p=nonsense")).result == "none"
    assert check("example.com", policy("p=nonsense; rua=mailto:a@b.test")).result == "fail"


SUBDOMAINS = policy("p=none; sp=quarantine; np=reject")


def test_policies_below_the_organizational_domain() -> None:
    """RFC 9989 section 4.10.1: ``sp`` for what exists, ``np`` for what does not."""
    there = {**SUBDOMAINS, "a.example.com": {"MX": ["0 x.test"]}}
    assert check("example.com", SUBDOMAINS).policy == "none"
    assert check("a.example.com", there).policy == "quarantine"
    assert check("b.example.com", there).policy == "reject"


def test_its_own_record_comes_first() -> None:
    zone = {**SUBDOMAINS, **policy("p=reject; sp=none; np=none", "a.example.com")}
    found = check("a.example.com", zone)
    assert (found.policy, found.record_domain) == ("reject", "a.example.com")


def test_a_public_suffix_speaks_for_those_who_say_nothing() -> None:
    """RFC 9989 section 4.10.1; its record does not make neighbours one organization."""
    zone = policy("p=none; sp=quarantine; np=reject; psd=y", "com")
    found = check("absent.com", zone, mail_from=spf("other.com"))
    assert (found.result, found.policy) == ("fail", "reject")
    assert (found.organizational_domain, found.record_domain) == ("absent.com", "com")
    assert check("com", zone, mail_from=spf("other.com")).result == "fail"


def test_the_record_between_does_not_count() -> None:
    """RFC 9989 section 4.10.1 knows three places: the author, its organization, the suffix."""
    zone = {**policy("p=none"), **policy("p=reject", "b.example.com")}
    assert check("a.b.example.com", zone).policy == "none"


def test_a_department_with_a_record_of_its_own_is_apart() -> None:
    zone = {**REJECT, **policy("p=reject; psd=n", "shop.example.com")}
    assert check("shop.example.com", zone, mail_from=spf("example.com")).result == "fail"
    assert check("example.com", zone, mail_from=spf("shop.example.com")).result == "fail"
    assert check("a.shop.example.com", zone, mail_from=spf("shop.example.com")).result == "pass"


@pytest.mark.parametrize("result", ["fail", "softfail", "neutral", "none", "permerror"])
def test_only_a_pass_proves_anything(result: str) -> None:
    found = check(
        "example.com",
        REJECT,
        mail_from=spf("example.com", result),
        signatures=[dkim("example.com", result)],
    )
    assert found.result == "fail"


def test_a_signature_that_leaves_a_from_out_proves_nothing() -> None:
    loose = replace(dkim("example.com"), covers_from=False)
    assert check("example.com", REJECT, signatures=[loose]).result == "fail"


def test_a_key_that_tests_proves_nothing() -> None:
    """RFC 6376 section 3.6.1: such mail is not treated differently from unsigned mail."""
    trying = replace(dkim("example.com"), is_testing=True)
    assert check("example.com", REJECT, signatures=[trying]).result == "fail"


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        ({"_dmarc.example.com": None}, dkim("example.com")),
        ({"_dmarc.com": None}, dkim("example.com")),
        ({**REJECT, "_dmarc.com": None}, dkim("a.example.com")),
        (REJECT, dkim("example.com", "temperror")),
        (REJECT, dkim("a.example.com", "temperror")),
    ],
)
def test_what_dns_does_not_say_is_not_held_against_anybody(zone: Zone, found: DkimFound) -> None:
    """RFC 9989 section 5.3.6: it can neither pass nor fail, and no policy applies."""
    author = "example.com" if "_dmarc.com" not in zone or len(zone) > 1 else "a.example.com"
    result = check(author, zone, signatures=[found])
    assert (result.result, result.disposition) == ("temperror", "none")


def test_a_failure_of_somebody_else_is_no_excuse() -> None:
    found = check("example.com", REJECT, signatures=[dkim("evil.test", "temperror")])
    assert found.result == "fail"


def test_one_proof_suffices_though_another_is_missing() -> None:
    found = check(
        "example.com",
        REJECT,
        mail_from=spf("example.com"),
        signatures=[dkim("example.com", "temperror")],
    )
    assert found.result == "pass"


def test_of_several_authors_the_strictest_that_fails_decides() -> None:
    """RFC 9989 section 11.5."""
    zone = {**policy("p=quarantine", "a.test"), **policy("p=reject", "b.test"), **REJECT}
    found = check(("example.com", "a.test", "b.test"), zone, mail_from=spf("example.com"))
    assert (found.result, found.domain, found.disposition) == ("fail", "b.test", "reject")


def test_a_domain_that_passes_hides_no_other() -> None:
    found = check(
        ("evil.test", "example.com"),
        {**REJECT, **policy("p=none", "evil.test")},
        mail_from=spf("evil.test"),
    )
    assert (found.result, found.domain) == ("fail", "example.com")


def test_authors_without_end_are_not_judged() -> None:
    """RFC 9989 section 11.5: a limit, and it is said."""
    found = check(tuple(f"a{number}.test" for number in range(MAX_AUTHORS + 1)), {})
    assert found.result == "permerror"


@pytest.mark.parametrize("author", ["[192.0.2.1]", "", ".", "a..b", "x" * 300, "é.test"])
def test_an_odd_domain_harms_nobody(author: str) -> None:
    assert check(author, {}).result in ("none", "permerror")


def test_the_signature_of_the_author_is_found_among_many() -> None:
    crowd = [dkim(f"a{number}.com") for number in range(40)]
    found = check("example.com", REJECT, signatures=[*crowd, dkim("example.com")])
    assert found.result == "pass"


OUTCOMES = st.sampled_from([*Outcome, Outcome.FOUND, Outcome.FOUND])
TEXTS = st.sampled_from(
    ["v=DMARC1; p=reject", "v=DMARC1; psd=y; p=none; np=reject", "v=DMARC1", "junk", "\x00é"]
)


@given(st.lists(st.tuples(OUTCOMES, st.lists(TEXTS, max_size=2))), st.data())
def test_no_answer_makes_it_raise_or_go_on_forever(
    answers: list[tuple[Outcome, list[str]]], data: st.DataObject
) -> None:
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        outcome, texts = answers.pop() if answers else (Outcome.NO_NAME, [])
        return Answer(
            question=question,
            outcome=outcome,
            values=tuple(texts) if outcome is Outcome.FOUND else (),
        )

    names = st.sampled_from(["a.b.c.d.example.com", "example.com", "com", "x.example.com", "é", ""])
    authors = tuple(data.draw(st.lists(names, max_size=6)))
    signers = [dkim(data.draw(names), data.draw(st.sampled_from(["pass", "temperror"])))]
    query = DmarcQuery(authors, spf(data.draw(names)), signers)
    found = run_flow_on_answers(check_dmarc(query), answer)
    assert found.result in ("pass", "fail", "none", "temperror", "permerror")
    assert len(asked) < 60
    assert len(set(asked)) == len(asked)
