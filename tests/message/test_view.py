"""One mail as the checks see it: the parse of the webmail, texts, links, files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.made_mail import HEAD
from zajil.message.fields import read_fields, split_message
from zajil.message.html import read_html
from zajil.message.parse import parse_message
from zajil.message.view import MAX_READ, MessageView


def view(message: bytes) -> MessageView:
    end, _ = split_message(message)
    return MessageView(message[:end], read_fields(message[:end]), message[end:])


MIXED = (
    b'From: "Amal" <amal@north.test>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n'
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p>Hello <a href="https://a.test/x?a=1&amp;b=2">our <b>shop</b></a></p>'
    b'<div style="display: none">secret <div>words</div> here</div>seen\r\n'
    b'--b\r\nContent-Type: application/zip; name="a.zip"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n--b--\r\n"
)


def test_texts_links_and_files() -> None:
    seen = view(MIXED)
    assert seen.subject == "grüße"
    assert seen.author is not None
    assert (seen.author.written_name, seen.author.address) == ("Amal", "amal@north.test")
    assert "Hello our shop" in seen.visible_text
    assert "seen" in seen.visible_text
    assert "secret" not in seen.visible_text
    (piece,) = seen.texts
    assert piece.html is not None
    assert piece.html.hidden.split() == ["secret", "words", "here"]
    (link,) = seen.links
    assert (link.target, link.shown) == ("https://a.test/x?a=1&b=2", "our shop")
    (file,) = seen.attachments
    assert (file.name, file.content_type) == ("a.zip", "application/zip")
    assert seen.read_file(file.file, 100) == b"PK\x03\x04"


def test_plain_text_urls() -> None:
    seen = view(b"From: a@b.test\r\n\r\nSee (https://x.test/a), or www.y.test.\r\n")
    assert [link.target for link in seen.links] == ["https://x.test/a", "www.y.test"]


def test_a_long_body_in_a_file_is_cut() -> None:
    class File:
        size = 4 * MAX_READ

        def read_at(self, offset: int, size: int) -> bytes:
            return b"x" * min(size, self.size - offset)

    seen = MessageView(b"From: a@b.test\r\n", read_fields(b"From: a@b.test\r\n"), File())
    assert seen.is_cut
    assert len(seen.data) == MAX_READ + len(seen.header)


def test_a_type_with_a_comment_inside_is_parsed_as_the_webmail_does() -> None:
    """Attacks I: ``multi(x)part`` is a multipart to the parser, so it is one here."""
    message = MIXED.replace(b"multipart", b"multi(x)part")
    assert len(view(message).leaves) == 2
    assert len(parse_message(message).children) == 2


def test_hidden_by_ink_and_size() -> None:
    assert read_html('<font color="#ffffff">no</font>yes').text == "yes"
    assert read_html('<span style="font-size:0px">no</span>yes').text == "yes"
    assert read_html('<table bgcolor="#003366"><td><font color="white">yes').text.strip() == "yes"
    assert read_html('<span style="font-size:0.9em">yes</span>').text == "yes"
    assert read_html("<script>var no = '<p>';</script>yes<!-- no -->").text == "yes"


def test_odd_links() -> None:
    found = read_html('<a href="java\nscript:x">go</a><a href=\'x">y\'>z</a><form action=/f>')
    assert [(link.target, link.shown, link.kind) for link in found.links] == [
        ("javascript:x", "go", "a"),
        ('x">y', "z", "a"),
        ("/f", "", "form"),
    ]
    assert found.has_form


def test_digits_that_python_refuses_are_one_unknown_character() -> None:
    assert read_html("&#" + "9" * 5000 + ";").text == "\ufffd"


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    seen = view(b"Content-Type: text/html\r\nFrom: " + body)
    assert len(seen.links) + len(seen.attachments) + len(seen.reply_to) >= 0
    assert seen.author is None or seen.visible_text is not None


def test_the_charset_of_html_is_that_of_the_page() -> None:
    """The checks read the words that a reader sees, whoever says the charset."""
    data = '<meta charset="windows-1256"><p>مرحبا'.encode("cp1256")
    for encoding, body in ((b"8bit", data), (b"quoted-printable", data.replace(b"=", b"=3D"))):
        head = b"Content-Type: text/html\r\nContent-Transfer-Encoding: %b\r\n\r\n" % encoding
        assert "مرحبا" in view(head + body).visible_text


def test_a_soft_line_break_with_space_behind_it_hides_no_word() -> None:
    head = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    assert "password" in view(head + b"your pass= \r\nword\r\n").visible_text


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/html; name=a.html\r\n",
        b"Content-Type: text/html\r\nContent-Disposition: inline; filename=a.html\r\n",
        b"Content-Type: multipart/alternative\r\n",
        b"Content-Type: multipart/mixed; boundary=never\r\n",
    ],
)
def test_what_a_reader_is_shown_is_judged(header: bytes) -> None:
    part = header + b'\r\n<p>olive <b>tr</b>ee</p><a href="http://x.test/">y.test</a>\r\n'
    mixed = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nfirst\r\n--o\r\n"
    for message in (HEAD + part, HEAD + mixed + part + b"--o--\r\n"):
        seen = view(message)
        assert "olive tree" in seen.visible_text
        assert [link.target for link in seen.links if link.kind == "a"] == ["http://x.test/"]
