"""vCards: what is read of real and odd files, and that what is written is read again."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.vcard import MAX_CARDS, MAX_PHOTO, Card, read_cards, write_card

PNG = b"\x89PNG\r\n\x1a\nrest"
CODED = base64.b64encode(PNG).decode()
VERSION_4 = f"""BEGIN:VCARD\r
VERSION:4.0\r
UID:urn:uuid:1\r
FN:Noor Saleh\r
N:Saleh;Noor;;;\r
EMAIL;TYPE=work;PREF=1:noor@south.test\r
item1.EMAIL:mailto:second@south.test\r
TEL;VALUE=uri;TYPE="cell,voice":tel:+967-1\r
ORG:South\\, Inc;Sales\r
CATEGORIES:Family,Work\\, old\r
NOTE:one\\ntwo\r
PHOTO:data:image/png;base64,{CODED[:10]}\r
 {CODED[10:]}\r
X-UNKNOWN;A="b:c":d\r
END:VCARD\r
"""


def test_version_4() -> None:
    assert read_cards(VERSION_4) == [
        Card(
            uid="urn:uuid:1",
            name="Noor Saleh",
            emails=("noor@south.test", "second@south.test"),
            phones=("+967-1",),
            organisation="South, Inc, Sales",
            note="one\ntwo",
            groups=("Family", "Work, old"),
            photo=PNG,
        )
    ]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["VERSION:3.0", "N:Saleh;Noor;;Dr.;"], Card(name="Dr. Noor Saleh")),
        (["VERSION:3.0", "FN:نور", f"PHOTO;ENCODING=b;TYPE=PNG:{CODED}"],
         Card(name="نور", photo=PNG)),
        (["VERSION:2.1", "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:;=D9=86=D9=88=", "=D8=B1"],
         Card(name="نور")),
        (["FN:x", "PHOTO;VALUE=uri:http://evil.test/a.png"], Card(name="x")),
        (["FN:x", "PHOTO;ENCODING=b:PHN2Zz4="], Card(name="x")),
        (["FN:x", "PHOTO;ENCODING=b:not base64"], Card(name="x")),
        (["FN:a\\,b\\;c\\\\d\x00\x1b[1m"], Card(name="a,b;c\\d [1m")),
        (["FN:x", "no colon", ":", ";;;:", 'EMAIL;A="open:a@b.test'], Card(name="x")),
        (["EMAIL:a@b.test"], Card(emails=("a@b.test",))),
    ],
)  # fmt: skip
def test_one_card(lines: list[str], wanted: Card) -> None:
    text = "\n".join(["BEGIN:VCARD", *lines, "END:VCARD"])
    assert read_cards(text) == [wanted]


@pytest.mark.parametrize(
    "text",
    ["", "BEGIN:VCARD", "BEGIN:VCARD\nFN:x", "END:VCARD", "BEGIN:VCARD\nNOTE:x\nEND:VCARD",
     "BEGIN:VCARD\n" * 50_000, "\x00" * 1000],
)  # fmt: skip
def test_what_is_no_card(text: str) -> None:
    assert read_cards(text) == []


def test_a_file_is_bounded() -> None:
    assert len(read_cards("BEGIN:VCARD\nFN:x\nEND:VCARD\n" * (MAX_CARDS + 1))) == MAX_CARDS
    large = base64.b64encode(PNG + bytes(MAX_PHOTO)).decode()
    text = f"BEGIN:VCARD\nFN:x\nPHOTO;ENCODING=b:{large}\nEND:VCARD"
    assert read_cards(text) == [Card(name="x")]
    text = "BEGIN:VCARD\nFN:" + "x" * 10_000 + "\n" + "EMAIL:a@b.test\n" * 99 + "END:VCARD"
    assert len(read_cards(text)[0].name) == 200


ODD_CARDS = st.builds(
    "".join,
    st.lists(
        st.one_of(
            st.sampled_from(
                ["BEGIN:VCARD\n", "END:VCARD\n", "FN:", "EMAIL;", "\n", "\n ", '"', ":", ";",
                 "PHOTO;ENCODING=b:", "ENCODING=QUOTED-PRINTABLE:", "=", "\\"]
            ),
            st.text(max_size=8),
        ),
        max_size=40,
    ),
)  # fmt: skip


@given(ODD_CARDS)
def test_every_text_is_read(text: str) -> None:
    for card in read_cards(text):
        assert card.name or card.emails


LINE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=90)


@given(
    st.builds(
        Card,
        uid=LINE,
        name=LINE,
        emails=st.lists(LINE, max_size=3, unique=True).map(tuple),
        phones=st.lists(LINE, max_size=3, unique=True).map(tuple),
        organisation=LINE,
        note=st.lists(LINE, max_size=3).map("\n".join),
        groups=st.lists(st.text("abcنور;,\\", min_size=1, max_size=20), max_size=3, unique=True)
        .map(tuple),
        photo=st.sampled_from([b"", PNG]),
    ),
    st.sampled_from(["3.0", "4.0"]),
)  # fmt: skip
def test_what_is_written_is_read_again(card: Card, version: str) -> None:
    text = write_card(card, version)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    (again,) = read_cards(text)
    values = (*card.emails, *card.phones)
    if not any(value.startswith(("mailto:", "tel:")) for value in values):
        assert again == card
