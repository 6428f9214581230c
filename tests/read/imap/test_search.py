"""SEARCH over flags, dates, header fields and decoded text, Arabic included."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.message.casemap import casemap
from zajil.message.normal_form import normal_form, search_form
from zajil.store.engine.open import Store

ARABIC = (
    "From: =?utf-8?B?2LPZhNmF2Yk=?= <salma@north.test>\r\n"
    "Subject: =?utf-8?B?2KPZjtiu2KjYp9ix?=\r\n"
    "Date: Tue, 24 Nov 2026 01:00:00 +0300\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode("الْمَدْرَسَةُ بَعِيدَة".encode()).decode()
    + "\r\n"
).encode()
ENGLISH = (
    b"From: Bob <bob@south.test>\r\nTo: amal@north.test\r\nSubject: Quarterly report\r\n"
    b"Date: Mon, 1 Feb 2021 10:00:00 +0000\r\nX-Odd: \r\n\r\n"
    b"Dear Amal, the deadline=\r\n moved.\r\n"
)
LATIN = (
    b"From: eve@south.test\r\nSubject: =?iso-8859-1?Q?Caf=E9?=\r\n"
    b"Content-Type: text/html; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n<p>cr=E8me br=\r\n=FBl=E9e</p>\r\n"
)

KEYS = {
    "ALL": "1 2 3",
    "1:2": "1 2",
    "2,*": "2 3",
    "UID 3": "3",
    "SEEN": "2",
    "UNSEEN": "1 3",
    "NOT SEEN": "1 3",
    "KEYWORD $Work": "3",
    "UNKEYWORD $work": "1 2",
    "FLAGGED SEEN": "2",
    "OR FLAGGED KEYWORD $Work": "2 3",
    "FROM bob": "2",
    "FROM سلمى": "1",
    "FROM سلمي": "1",
    "SUBJECT أخبار": "1",
    "SUBJECT اخبار": "1",
    "SUBJECT CAFÉ": "3",
    "SUBJECT cafe": "3",  # as i;unicode-casemap compares
    "SUBJECT cafes": "",
    "BODY creme": "",  # a mark stands between the letters
    "BODY cre": "3",
    "BODY المدرسه": "1",
    "BODY مدرسة": "1",
    'BODY "crème brûlée"': "3",
    "BODY deadline": "2",
    "BODY quarterly": "",
    "TEXT quarterly": "2",
    "TO amal": "2",
    "CC amal": "",
    'HEADER X-Odd ""': "2",
    "HEADER Message-ID x": "",
    "SINCE 1-Jan-2022": "2 3",
    "BEFORE 1-Jan-2022": "1",
    "ON 5-Mar-2021": "1",
    "SENTON 24-Nov-2026": "1",
    "SENTBEFORE 2-Feb-2021": "2",
    "SENTSINCE 2-Feb-2021": "1",
    "LARGER 100000": "",
    "SMALLER 100000": "1 2 3",
    "(SEEN FLAGGED) NOT (BODY x OR 1 2)": "2",
    "UNDELETED UNDRAFT UNANSWERED": "1 2 3",
    "NEW": "1 3",
    "OLD": "",
    "RECENT": "1 2 3",
    "RECENT SEEN": "2",
    "NOT NEW": "2",
}


def test_keys(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("INBOX", ARABIC, '" 5-Mar-2021 10:00:00 +0000"')
            await imap.append("INBOX", ENGLISH, r"(\Seen \Flagged)")
            await imap.append("INBOX", LATIN, "($Work)")
            await imap.ok("SELECT INBOX")
            for key, want in KEYS.items():
                term = key.encode()
                if not key.isascii():
                    # A term that is not ASCII comes as a literal, as the grammar has it.
                    word, _, text = key.partition(" ")
                    data = text.strip('"').encode()
                    term = b"CHARSET UTF-8 %b {%d+}\r\n%b" % (word.encode(), len(data), data)
                (line, _) = await imap.ok(b"SEARCH " + term)
                assert line.removeprefix(b"* SEARCH").decode().strip() == want, key
            assert (await imap.ok("UID SEARCH 2:3 NOT 3"))[0] == b"* SEARCH 2"
            answer = (await imap.command("SEARCH CHARSET KOI8-R ALL"))[-1]
            assert b" NO [BADCHARSET (US-ASCII UTF-8)]" in answer

    asyncio.run(run())


def test_the_day_of_an_odd_date_is_found(store: Store, tmp_path: Path) -> None:
    """RFC 5322 section 4.3: comments and white space stand anywhere in a date."""
    make_reader(store)
    odd = (
        b"Tue,  1  Apr 2025 10:00:00 +0000",
        b"Tue,\t1\tApr\r\n 2025 23:00:00 -1200",
        b"(a (b) c) 1 Apr 2025 10:00",
        b"Tue, 1(x)Apr (y) 25",
    )

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for value in (*odd, b"1 Apr 2024 10:00", b"no date"):
                await imap.append("INBOX", b"Date: %b\r\n\r\nx\r\n" % value)
            await imap.ok("SELECT INBOX")
            (line, _) = await imap.ok("SEARCH SENTON 1-Apr-2025")
            assert line == b"* SEARCH 1 2 3 4"

    asyncio.run(run())


ODD_PEOPLE = (
    b"From: Joe (the (real) one) Bloggs\r\n"
    b" <joe (office) @ (where\r\n he works)\r\n south.test>\r\n"
    b'To: "Team \\"A\\"" <amal@north.test>, Crew: =?utf-8?Q?Ren=C3=A9?= <rene @ east.test>;\r\n'
    b'Cc: "odd one" @ west .(x)test\r\n'
    b"Bcc: (nobody) hidden\r\n\t@north.test, zayd (home) @\r\n (x) far . test\r\n"
    b"Subject: many\r\n   words\r\n =?utf-8?Q?of_?=\r\n =?utf-8?Q?one?=\r\n"
    b"\r\nx\r\n"
)


IN_THE_ENVELOPE = {
    "FROM joe@south.test": True,
    'FROM "Joe Bloggs <joe@south.test>"': True,
    "FROM JOE@SOUTH": True,
    'FROM "he works"': True,  # the field as it stands holds comments, too
    "FROM joe@south.testing": False,
    'TO "Team \\"A\\""': True,
    "TO amal@north.test": True,
    "TO crew": True,
    "TO rene@east.test": True,
    "CC west.test": True,
    'CC "odd one@west.test"': True,
    "BCC hidden@north.test": True,
    "BCC zayd@far.test": True,
    "BCC joe@south.test": False,
    "HEADER From joe@south.test": True,
    'SUBJECT "many words of one"': True,
}


def test_a_search_looks_into_the_envelope(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 6.4.4: comments and folding within an address hide nothing."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("INBOX", ODD_PEOPLE)
            await imap.ok("SELECT INBOX")
            for key, found in IN_THE_ENVELOPE.items():
                want = b"* SEARCH 1" if found else b"* SEARCH"
                assert (await imap.ok(f"SEARCH {key}"))[0] == want, key

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("الْعَرَبِيَّة", "العربيه"),
        ("كـــتاب", "كتاب"),
        ("إسلام أحمد آدم ٱلله", "اسلام احمد ادم الله"),
        ("ﷲ", "الله"),
        ("Straße", "strasse"),
        ("a\r\n\tb", "a b"),
    ],
)
def test_normal_form(text: str, want: str) -> None:
    assert normal_form(text) == search_form(text) == want


def test_letters_are_equal_where_the_collation_takes_them_for_equal() -> None:
    """RFC 5255 section 4.2: i;unicode-casemap, letter by letter."""
    letters = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert not [one for one in letters if search_form(casemap(one)) != search_form(one)]


@given(st.data(), st.text(max_size=40) | st.text(st.sampled_from("aeéıIßſ\u0301\u0323ḗ가각か゛が")))
def test_a_piece_is_found_where_the_collation_finds_it(data: st.DataObject, text: str) -> None:
    whole = casemap(text)
    start = data.draw(st.integers(0, len(whole)))
    piece = whole[start : data.draw(st.integers(start, len(whole)))]
    assert search_form(piece) in search_form(text)
