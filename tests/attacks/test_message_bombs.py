"""Attacks H: mails that are small to send and dear to look at.

What counts is how time and memory grow: eight times the mail may take thirty-two times as much, and
whatever is quadratic takes sixty-four times. A whole mail passes the checks, as it does on the way.
"""

from __future__ import annotations

import gzip
import io
import time
import tracemalloc
import zipfile
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest

from kit.facts import make_facts
from zajil.check.content.archives import MAX_INFLATED, MAX_MEMBERS, list_archive
from zajil.check.content.phishing import Protected
from zajil.check.content.run import look_inside, view_of
from zajil.check.learned.tokens import MAX_TOKENS, find_tokens
from zajil.check.verdict.verdict import Action
from zajil.message.address_list import MAX_ADDRESSES
from zajil.message.html import MAX_LINKS
from zajil.message.parse import MAX_DEPTH, MAX_PARTS
from zajil.message.view import MAX_ATTACHMENTS, MAX_READ, MAX_TEXT, MAX_TEXT_PARTS
from zajil.read.shown import show_message

HEAD = b"From: a@far.example\r\nTo: amal@north.test\r\nSubject: x\r\n"
MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
OURS = Protected(["north.test"], "amal haddad".__eq__, ["bank.test"])
SMALL, FACTOR, MORE = 24_000, 8, 4.0
FLOOR_SECONDS = 0.002
"""Shorter than this is noise of the machine."""

Bomb = Callable[[int], bytes]
"""Gives a mail of about so many bytes."""


def repeated(piece: bytes, head: bytes = b"\r\n", end: bytes = b"") -> Bomb:
    return lambda size: HEAD + head + piece * (size // len(piece)) + end


def nested(size: int) -> bytes:
    """Multiparts inside multiparts, each with a boundary of its own."""
    levels = size // 70
    return HEAD + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(levels)
    )


BOMBS: dict[str, Bomb] = {
    "cve-2020-12100-parts": repeated(b"--b\r\n\r\nx\r\n", MULTIPART + b"\r\n"),
    "cve-2020-12100-nested-parts": nested,
    "cve-2026-26312-parts-that-name-each-other": repeated(
        b"--b\r\n" + MULTIPART + b"\r\n", MULTIPART + b"\r\n"
    ),
    "cve-2026-26312-messages-in-messages": repeated(b"Content-Type: message/rfc822\r\n\r\n", b""),
    "cve-2026-27859-parameters": lambda size: (
        HEAD
        + b"Content-Type: text/plain"
        + b"".join(b"; a*%d*=%%41" % number for number in range(size // 12))
        + b"\r\n\r\nx\r\n"
    ),
    "encoded-messages": repeated(
        b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b64encode(b"Content-Type: text/plain; name=x\r\n\r\n")
        + b"\r\n",
        MULTIPART + b"\r\n",
    ),
    "messages-by-name-in-each-other": repeated(
        b"Content-Type: application/octet-stream; name=x.eml\r\n\r\n", b""
    ),
    "cve-2024-23184-many-addresses": lambda size: (
        b"From: a@b.test\r\nReply-To: " + b"a@b.test, " * (size // 10) + b"c@d.test\r\n\r\nx\r\n"
    ),
    "cve-2024-23185-a-huge-field": lambda size: HEAD + b"X: " + b"x" * size + b"\r\n\r\nx\r\n",
    "cve-2024-23185-many-fields": repeated(b"a: b\r\n", b""),
    "cve-2019-19722-a-group-without-end": lambda size: (
        b"From: group:" + b" a@b.test," * (size // 10) + b"(\r\n\r\nx\r\n"
    ),
    "cve-2017-14461-a-domain-that-breaks-off": lambda size: (
        b"From: a@" + b"b." * (size // 2) + b"\r\n\r\nx\r\n"
    ),
    "cve-2026-90776-comments-in-comments": lambda size: (
        b"From: " + b"(" * (size // 2) + b"a@b.test" + b")" * (size // 2) + b"\r\n\r\nx\r\n"
    ),
    "cve-2024-45626-open-tags": repeated(b"<div><", HTML),
    "html-open-elements": repeated(b"<b hidden><div></b><p><li></p>", HTML),
    "html-scopes": repeated(b"<p><button><div></p><table><tr hidden><td>", HTML),
    "html-names": lambda size: HEAD + HTML + b"".join([b"<x%d>" % n for n in range(size // 7)]),
    "html-styles": lambda size: (
        HEAD
        + HTML
        + b"".join([b"<p style='a:\"%d\"{;display:none'>" % n for n in range(size // 35)])
    ),
    "html-a-long-style": repeated(b"display:none;/**/", HTML + b"<p style='"),
    "cve-2024-45626-open-comments": repeated(b"<!--", HTML),
    "cve-2024-45626-open-quotes": repeated(b"<a href='", HTML),
    "cve-2024-45626-attributes": repeated(b" a='b' style=x:y", HTML + b"<p"),
    "cve-2024-45626-entities": repeated(b"&#x41;&am", HTML),
    "cve-2020-7957-a-line-of-nothing": repeated("ـ\u200b".encode(), b"\r\n"),
    "cve-2020-7046-truncated-utf-8": repeated(b"\xe2\x80", HTML),
    "links": repeated(b"<a href=http://a.b.test>c.test</a>", HTML),
    "links-of-many-labels": repeated(b"<a href=http://" + b"a-." * 20 + b"test>c</a>", HTML),
    "urls-in-text": repeated(b"http://a.test,", b"\r\n"),
    "encoded-words": lambda size: (
        b"From: a@b.test\r\nSubject: " + b"=?utf-8?q?a?= " * (size // 14) + b"\r\n\r\nx\r\n"
    ),
    "single-letters": repeated(b"v i ", b"\r\n"),
    "foreign-letters": repeated("ая".encode() + b"a ", b"\r\n"),
    "boundaries-after-the-end": repeated(
        b"--b--\r\n--c\r\n", MULTIPART + b"\r\n--b\r\n\r\nx\r\n--b--\r\n"
    ),
}


def look(message: bytes) -> None:
    facts = make_facts(message)
    view = view_of(facts)
    look_inside(view, facts, OURS)
    find_tokens(view)


def seconds(message: bytes) -> float:
    begin = time.process_time()
    look(message)
    return time.process_time() - begin


def is_in_time(small: bytes, large: bytes, factor: float) -> bool:
    """Tell whether the large mail takes no more than ``factor`` times as long as the small one.

    Other programs only make a measurement longer, so the shortest of several counts.
    """
    shortest, longest = float("inf"), float("inf")
    for _ in range(20):
        shortest, longest = min(shortest, seconds(small)), min(longest, seconds(large))
        if longest <= max(shortest, FLOOR_SECONDS) * factor:
            return True
    return False


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_time_grows_with_the_mail(bomb: Bomb) -> None:
    assert is_in_time(bomb(SMALL), bomb(SMALL * FACTOR), FACTOR * MORE)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_memory_grows_with_the_mail(bomb: Bomb) -> None:
    look(bomb(100))  # what is kept for all mails
    peaks = []
    for size in (SMALL, SMALL * FACTOR):
        message = bomb(size)
        tracemalloc.start()
        look(message)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    floor = 200_000
    assert peaks[1] <= max(peaks[0], floor) * FACTOR * 2
    assert peaks[1] <= 150 * SMALL * FACTOR


# ---- caps ---------------------------------------------------------------------------------------


def test_caps_hold_for_what_is_looked_at() -> None:
    for bomb in BOMBS.values():
        view = view_of(make_facts(bomb(SMALL * FACTOR)))
        parts = list(view.root.walk())
        assert len(parts) <= MAX_PARTS
        assert max((number.count(".") for number, _ in parts), default=0) <= MAX_DEPTH
        assert len(view.texts) <= MAX_TEXT_PARTS
        assert len(view.all_files) <= MAX_ATTACHMENTS
        assert len(view.links) <= MAX_LINKS
        assert len(view.to) + len(view.cc) + len(view.reply_to) <= 2 * MAX_ADDRESSES
        assert len(find_tokens(view)) <= MAX_TOKENS
        show_message(bomb(SMALL))  # what the owner opens


def test_cve_2024_23185_a_header_section_without_end_is_refused() -> None:
    for bomb in ("cve-2024-23185-a-huge-field", "cve-2024-23185-many-fields"):
        facts = make_facts(BOMBS[bomb](400_000))
        reasons = look_inside(view_of(facts), facts)
        assert Action.REJECT in {reason.demands for reason in reasons}


def test_a_large_body_is_read_up_to_its_cap() -> None:
    class File:
        size = 1 << 40
        read = 0

        def read_at(self, offset: int, size: int) -> bytes:
            File.read += size
            return b"\r\n" + b"x\r\n" * (size // 3)

    view = view_of(replace(make_facts(HEAD + b"\r\n"), body=File()))
    find_tokens(view)
    assert view.is_cut
    assert File.read <= MAX_READ + MAX_TEXT


def test_cve_2020_10967_an_empty_quoted_local_part() -> None:
    look(b'From: ""@far.example\r\nReply-To: ""@x.test\r\n\r\nx\r\n')


def test_cve_2025_59045_a_meeting_that_recurs_for_ever() -> None:
    """Nothing of ours unrolls a recurrence: an entry of a calendar is a file like any other."""
    rule = b"RRULE:FREQ=SECONDLY;COUNT=999999999\r\n"
    event = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:00010101T000000Z\r\n" + rule
    small = HEAD + b"Content-Type: text/calendar\r\n\r\n" + event
    assert is_in_time(small + b"X: y\r\n" * 100_000, small, 1.0)
    (file,) = show_message(small).attachments
    assert file.size <= len(small)


# ---- archives -----------------------------------------------------------------------------------


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        lambda: zipped({f"{number}": b"\0" * 200_000 for number in range(300)}),
        lambda: zipped({"a": zipped({"b": zipped({"c": b"\0" * 2_000_000})})}),
        lambda: gzip.compress(gzip.compress(b"\0" * 20_000_000)),
        lambda: gzip.compress(b"\0" * 20_000_000),
        lambda: b"PK\x03\x04" * 50_000,
        lambda: b"PK\x03\x04" + b"\xff" * 400_000,
        lambda: zipped({str(number): b"" for number in range(MAX_MEMBERS * 3)}),
    ],
    ids=["many", "nested", "twice", "gzip", "headers", "sizes", "members"],
)
def test_archives_are_listed_within_their_budget(make: Callable[[], bytes]) -> None:
    """Nothing is unpacked to anywhere, and in memory never more than a fixed amount."""
    archive = make()
    list_archive(archive)
    tracemalloc.start()
    listing = list_archive(archive)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert listing is not None
    assert len(listing.members) <= MAX_MEMBERS + 1
    assert peak <= 8 * MAX_INFLATED + 2 * len(archive)
