"""What we make is what we read: names, times, who signed."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from zajil.tls.certificate import (
    DAY_MS,
    CertificateFacts,
    CertificateProblem,
    find_problems,
    read_certificate,
)
from zajil.tls.context import BadCertificate
from zajil.tls.self_signed import LIFETIME, make_self_signed

NOW_MS = 1_795_000_000_000


def test_a_self_signed_certificate_is_read_back(tmp_path: Path) -> None:
    long = "a" * 63 + ".test"
    file = tmp_path / "c.pem"
    file.write_bytes(make_self_signed((long, "mx.xn--mgbkq8e.test"), NOW_MS).certificate)
    facts = read_certificate(file)
    assert facts.names == (long, "mx.xn--mgbkq8e.test")
    assert facts.self_signed
    assert facts.not_before_ms == NOW_MS - 3_600_000
    assert facts.not_after_ms == NOW_MS + int(LIFETIME.total_seconds() * 1000)
    assert facts.fits("mx.xn--mgbkq8e.test")
    assert not facts.fits("mx.north.test")


@pytest.mark.parametrize(
    ("names", "hostname", "fits"),
    [
        (("*.north.test",), "mx.north.test", True),
        (("*.north.test",), "a.mx.north.test", False),
        (("*.north.test",), "north.test", False),
        (("MX.North.test",), "mx.north.test", True),
        ((), "mx.north.test", False),
    ],
)
def test_a_star_stands_for_one_label(names: tuple[str, ...], hostname: str, fits: bool) -> None:
    """RFC 9525 section 6.3: the wildcard is the whole first label."""
    assert CertificateFacts(names, "", True, 0, 0).fits(hostname) is fits


@pytest.mark.parametrize("content", [None, b"junk"])
def test_a_file_that_is_none_is_named(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "c.pem"
    if content:
        file.write_bytes(content)
    with pytest.raises(BadCertificate, match=str(file)):
        read_certificate(file)


@pytest.mark.parametrize(
    ("days", "names", "problems"),
    [
        (15, ("mx.north.test",), []),
        (14, ("*.north.test",), [CertificateProblem.ENDS_SOON]),
        (1, ("mx.north.test",), [CertificateProblem.ENDS_SOON]),
        (0, ("mx.north.test",), [CertificateProblem.EXPIRED]),
        (-3, ("south.test",), [CertificateProblem.EXPIRED, CertificateProblem.OTHER_NAME]),
        (90, (), [CertificateProblem.OTHER_NAME]),
    ],
)
def test_what_is_wrong_with_a_certificate(
    days: int, names: tuple[str, ...], problems: list[CertificateProblem]
) -> None:
    facts = CertificateFacts(names, "", True, 0, NOW_MS + days * DAY_MS)
    found = find_problems(facts, "mx.north.test", NOW_MS)
    assert [one.problem for one in found] == problems
    assert all("\n" not in one.text and "certificate" in one.text for one in found)
    assert [one.is_warning for one in found] == [
        one is CertificateProblem.ENDS_SOON for one in problems
    ]


def test_a_certificate_of_tomorrow_is_not_valid_yet() -> None:
    facts = CertificateFacts(("mx.north.test",), "", True, NOW_MS + DAY_MS, NOW_MS + 90 * DAY_MS)
    (found,) = find_problems(facts, "mx.north.test", NOW_MS)
    assert found.problem is CertificateProblem.NOT_YET_VALID
    assert not found.is_warning


def test_a_chain_ends_with_the_first_of_its_certificates(tmp_path: Path) -> None:
    """A root that is sent along does not count: clients have their own."""
    authority = TestAuthority(tmp_path)
    end = datetime.datetime(2027, 1, 2, tzinfo=datetime.UTC)
    own, _ = authority.issue("mx.north.test")
    intermediate, _ = authority.issue("intermediate", end=end)
    root = make_self_signed(("root.test",), 0).certificate
    chain = tmp_path / "chain.pem"
    chain.write_bytes(own.read_bytes() + intermediate.read_bytes() + root)
    facts = read_certificate(chain)
    assert facts.names == ("mx.north.test",)
    assert facts.not_after_ms == int(end.timestamp() * 1000)
