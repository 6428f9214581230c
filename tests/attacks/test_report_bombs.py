"""Attacks J: reports of DMARC that are bombs. Each is refused before it grows.

What must be cheap is proved by what was refused and when, not by a clock.
"""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest

from kit.reports import REPORT
from zajil.message.transfer import encode_base64
from zajil.reports.dmarc.read_xml import MAX_DEPTH, MAX_ELEMENTS, MAX_ROWS, read_report
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.incoming import read_packed_report, read_report_mail
from zajil.reports.packing import FREE_SIZE, MAX_PACKED, BadReport, unpack_report

GOOD = write_report(REPORT)
ROOT = b"<feedback xmlns='urn:ietf:params:xml:ns:dmarc-2.0'>"

LAUGHS = b"".join(
    b'<!ENTITY l%d "%b">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10)
)
BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">' + LAUGHS + b"]><feedback>&l9;</feedback>"
)
QUADRATIC = (
    b'<!DOCTYPE x [<!ENTITY a "'
    + b"a" * 50_000
    + b'">]><feedback>'
    + b"&a;" * 5000
    + b"</feedback>"
)
EXTERNAL = (
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><feedback><org_name>&e;</org_name>'
    b"</feedback>"
)
REMOTE_DTD = b'<!DOCTYPE feedback SYSTEM "http://127.0.0.1/x.dtd"><feedback/>'
PARAMETER = b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/x">%p;]><feedback/>'


@pytest.mark.parametrize(
    "xml",
    [BILLION_LAUGHS, QUADRATIC, EXTERNAL, REMOTE_DTD, PARAMETER],
    ids=["billion-laughs", "quadratic-blowup", "external-entity", "remote-dtd", "parameter"],
)
def test_declarations_end_the_reading(xml: bytes) -> None:
    with pytest.raises(BadReport, match="document type declaration"):
        read_report(xml)


def test_an_entity_nobody_declared_is_no_text() -> None:
    with pytest.raises(BadReport, match="not XML"):
        read_report(GOOD.replace(b"<org_name>", b"<org_name>&l9;"))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(BadReport, match="deeply"):
        read_report(ROOT + b"<a>" * (MAX_DEPTH + 1))


def test_deep_nesting_in_an_extension_is_refused() -> None:
    with pytest.raises(BadReport, match="deeply"):
        read_report(ROOT + b"<extension>" + b"<x:a xmlns:x='urn:x'>" * 100_000)


def test_a_flood_of_elements_are_refused() -> None:
    with pytest.raises(BadReport, match="too many elements"):
        read_report(ROOT + b"<a/>" * (MAX_ELEMENTS + 1))


def test_too_many_rows_are_refused() -> None:
    start, _, rest = GOOD.partition(b"<record>")
    record = b"<record>" + rest.partition(b"<record>")[0]
    with pytest.raises(BadReport, match="too many"):
        read_report(start + record * (MAX_ROWS + 1) + b"</feedback>")


def test_a_huge_text_is_refused_and_one_nobody_reads_is_not_kept() -> None:
    with pytest.raises(BadReport, match="too long"):
        read_report(GOOD.replace(b"<org_name>", b"<org_name>" + b"x" * 1_000_000))
    big = GOOD.replace(
        b"<record>", b"<extension><z>" + b"y" * 4_000_000 + b"</z></extension><record>", 1
    )
    tracemalloc.start()
    try:
        assert read_report(big) == REPORT
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def bomb(size: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1_048_576)
    return b"".join([*(stream.compress(zeros) for _ in range(size // len(zeros))), stream.flush()])


def zip_bomb(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("report.xml", bytes(size))
    return out.getvalue()


@pytest.mark.parametrize(("make", "times"), [(bomb, 200), (zip_bomb, 50)], ids=["gz", "zip"])
def test_a_bomb_is_refused_while_it_is_small(make: Callable[[int], bytes], times: int) -> None:
    data = make(times * FREE_SIZE)
    tracemalloc.start()
    try:
        with pytest.raises(BadReport, match="too large after decompression"):
            unpack_report(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MAX_PACKED * 6


def test_sizes_that_a_zip_claims_are_not_believed() -> None:
    data = bytearray(zip_bomb(50 * FREE_SIZE))
    data[22:26] = (100).to_bytes(4, "little")
    with pytest.raises(BadReport, match="too large after decompression"):
        unpack_report(bytes(data))


@pytest.mark.parametrize("times", [2, 3])
def test_nested_archives_are_refused(times: int) -> None:
    data = GOOD
    for _ in range(times):
        data = gzip.compress(data)
    with pytest.raises(BadReport, match="compressed twice"):
        read_packed_report(data)


def test_an_attachment_that_is_too_large_is_not_decoded() -> None:
    with pytest.raises(BadReport, match="too large"):
        unpack_report(b"\x1f\x8b" + bytes(MAX_PACKED))


def test_many_bombs_in_one_mail_are_not_all_tried() -> None:
    part = b"--b\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    packed = encode_base64(gzip.compress(b"<x/>"))
    good = encode_base64(gzip.compress(GOOD))
    mail = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (part + packed) * 500 + part + good
    )
    with pytest.raises(BadReport):
        read_report_mail(mail + b"--b--\r\n")
