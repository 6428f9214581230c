"""What we make is what we read: names, times, who signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from zajil.tls.certificate import CertificateFacts, read_certificate
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
