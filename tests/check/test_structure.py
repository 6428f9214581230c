"""What the form of a message gives away."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from kit.made_mail import HEAD, html, view_and_facts
from zajil.check.content.structure import check_structure


def signals(message: bytes) -> set[str]:
    return {reason.signal for reason in check_structure(*view_and_facts(message))}


def alternative(text: str, rich: str, end: bytes = b"--b--\r\n") -> bytes:
    return (
        HEAD + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n" + text.encode()
        + b"\r\n--b\r\nContent-Type: text/html\r\n\r\n" + rich.encode() + b"\r\n" + end
    )  # fmt: skip


LETTER = "these words stand only here because somebody wrote them with great care this evening " * 2
OTHER = (
    "entirely different sentences about cheap watches luxury bargains replica discount pills " * 2
)


def test_an_honest_mail_says_nothing() -> None:
    assert signals(HEAD + b"\r\nhello\r\n") == set()
    assert signals(alternative(LETTER, f"<p>{LETTER}</p>")) == set()


def test_texts_that_differ() -> None:
    words = " ".join(f"word{chr(97 + n)}ing" for n in range(20))
    others = " ".join(f"other{chr(97 + n)}wise" for n in range(20))
    assert "structure.texts-differ" in signals(alternative(words, f"<p>{others}</p>"))


def test_hidden_text() -> None:
    hidden = f'<div style="display:none">{LETTER * 3}</div><p>short</p>'
    assert "structure.hidden-text" in signals(html(hidden))
    preheader = f'<div style="display:none">{LETTER}</div><p>{LETTER * 3}</p>'
    assert "structure.hidden-text" not in signals(html(preheader))


def test_what_only_pads_the_first_line_of_a_newsletter() -> None:
    padding = "<div style='display:none'>News " + "&zwnj;&nbsp;&#847; " * 200 + "</div><p>short</p>"
    assert "structure.hidden-text" not in signals(html(padding))


def test_pictures_and_links_alone() -> None:
    assert "structure.image-only" in signals(html('<a href="https://x.test"><img src="cid:a"></a>'))
    assert "structure.link-only" in signals(html('<a href="https://x.test">go</a>'))


def test_needless_base64() -> None:
    encoded = base64.encodebytes(b"plain words that need no encoding\n").replace(b"\n", b"\r\n")
    message = (
        HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    )
    assert "structure.needless-base64" in signals(message)
    utf8 = message.replace(b"text/plain", b'text/plain; charset="utf-8"')
    assert signals(utf8) == set()


def test_ambiguous_and_broken_mime() -> None:
    assert "structure.open-multipart" in signals(alternative(LETTER, LETTER, b""))
    twice = HEAD + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n"
    assert "structure.ambiguous" in signals(twice)
    after = b"--b--\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nhidden\r\n--b--\r\n"
    message = alternative(LETTER, LETTER, after)
    assert signals(message) <= {"structure.hidden-epilogue"}


def test_header_section() -> None:
    assert "structure.no-message-id" in signals(HEAD.replace(b"Message-ID", b"X-ID") + b"\r\nx\r\n")
    assert "structure.date-ahead" in signals(HEAD.replace(b"2026", b"2027") + b"\r\nx\r\n")
    assert "structure.date-old" in signals(HEAD.replace(b"2026", b"2025") + b"\r\nx\r\n")
    assert "structure.undisclosed" in signals(HEAD.replace(b"To:", b"X-To:") + b"\r\nx\r\n")
    split = b" ".join(b"=?utf-8?q?%c?=" % letter for letter in b"freemoney")
    assert "structure.split-words" in signals(HEAD.replace(b"hello", split) + b"\r\nx\r\n")


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    signals(HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n" + data)
