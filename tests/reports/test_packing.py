"""What reports are packed in."""

from __future__ import annotations

import gzip
import io
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.reports.packing import BadReport, is_packed, pack_report, unpack_report

XML = b"<feedback/>" * 1000


def zipped(data: bytes = XML, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("../../etc/report.xml", data)
        archive.writestr("second.xml", b"never looked at")
    return out.getvalue()


def streamed() -> bytes:
    """An archive whose sizes come after its data."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.xml", XML)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [XML, gzip.compress(XML), zipped(), zipped(method=zipfile.ZIP_STORED), streamed()],
    ids=["plain", "gzip", "zip", "stored", "streamed"],
)
def test_a_report_comes_out_as_it_went_in(data: bytes) -> None:
    assert unpack_report(data) == XML
    assert is_packed(data) is (data != XML)


def test_the_same_report_is_packed_the_same_way() -> None:
    assert pack_report(XML) == pack_report(XML)
    assert unpack_report(pack_report(XML)) == XML


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(XML)[:-30], "truncated"),
        (zipped()[:60], "truncated"),
        (zipped()[:20], "truncated"),
        (zipped(method=zipfile.ZIP_STORED)[:100], "truncated"),
        (flipped(gzip.compress(XML), 20), "decompressed"),
        (flipped(zipped(), 14), "damaged"),
        (flipped(zipped(), 6), "encrypted"),
        (zipped(method=zipfile.ZIP_BZIP2), "compression method"),
    ],
)
def test_what_is_broken_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BadReport, match=reason):
        unpack_report(data)


@given(st.sampled_from([b"\x1f\x8b\x08\x00", b"PK\x03\x04"]), st.binary(max_size=200))
def test_any_bytes_give_an_answer(start: bytes, rest: bytes) -> None:
    with suppress(BadReport):
        unpack_report(start + rest)
