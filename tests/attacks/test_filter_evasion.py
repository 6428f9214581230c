"""Attacks I: mail that says one thing to a filter and another to its reader.

The bytes that are judged are the bytes that are shown: checks and webmail use one parse, and what
programs read differently is a sign against the mail, never quietly put right.
"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.facts import make_facts
from kit.made_mail import HEAD, html, with_file
from zajil.check.content.lookalike import skeleton
from zajil.check.content.phishing import Protected
from zajil.check.content.run import look_inside, view_of
from zajil.check.learned.tokens import find_tokens, words_of
from zajil.read.shown import show_message

OURS = Protected(["north.test"], {skeleton("Amal Haddad")}.__contains__, ["bank.example"])
PROGRAM = b"MZ" + b"\0" * 200


def signals(message: bytes) -> set[str]:
    facts = make_facts(message)
    return {reason.signal for reason in look_inside(view_of(facts), facts, OURS)}


def from_(value: str, body: bytes = b"\r\nhello\r\n") -> bytes:
    return HEAD.replace(b"Salma <salma@far.example>", value.encode()) + body


# ---- names of files -----------------------------------------------------------------------------


def named(disposition: bytes, content: bytes = b"x") -> bytes:
    return (
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee\r\n--b\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; "
        + disposition + b"\r\n\r\n" + content + b"\r\n--b--\r\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    "disposition",
    [
        b'filename*0="bill."; filename*1="exe"',
        b"filename*0*=utf-8''bill%2E; filename*1*=e%78e",
        b"filename*=utf-8''bill.%65xe",
        b'filename="=?utf-8?q?bill=2Eexe?="',
        b'filename="bill.exe "',
        b'filename="bill.exe."',
        b"filename=bill.exe;",
        b'filename="bill.\r\n exe"',
        b'filename*1="exe"; filename*0="bill."',
    ],
)
def test_cve_2024_39929_a_name_said_in_pieces(disposition: bytes) -> None:
    """Exim looked at the first piece, and a reader saved the whole."""
    found = signals(named(disposition))
    assert found & {"attach.program", "attach.double-ending"}


def test_two_names_for_one_file_are_a_sign() -> None:
    found = signals(named(b'filename="a.txt"; filename="a.exe"'))
    assert "structure.ambiguous" in found


@pytest.mark.parametrize("name", ["photo\u202egpj.exe", "photo\u2067gpj.exe", "a\u202dfdp.scr"])
def test_a_name_that_turns_around(name: str) -> None:
    assert "attach.direction-control" in signals(with_file(name, b"x"))


def test_a_program_whose_name_is_a_picture() -> None:
    assert "attach.program" in signals(with_file("photo.jpg", PROGRAM, "image/jpeg"))


# ---- fields and parts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "signal"),
    [
        (b"From: boss@north.test\r\n", "format.repeated-from"),
        (b"Subject: another\r\n", "format.repeated-field"),
        (b"To: x@y.test\r\n", "format.repeated-field"),
        (b"Content-Type: text/plain\r\nContent-Type: text/html\r\n", "structure.ambiguous"),
        (
            b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 8bit\r\n",
            "structure.ambiguous",
        ),
        (b"no field at all\r\n", "format.bad-line"),
    ],
)
def test_repeated_fields_are_flagged(extra: bytes, signal: str) -> None:
    assert signal in signals(HEAD + extra + b"\r\nhello\r\n")


@pytest.mark.parametrize(
    "value",
    [
        "boss@north.test <x@evil.example>",
        "boss@north.test, <x@evil.example",
        "<boss@north.test> x@evil.example",
        "x@evil.example)boss@north.test",
    ],
)
def test_an_author_that_programs_read_differently(value: str) -> None:
    assert "format.bad-from" in signals(from_(value))


def test_a_group_in_from_is_shown_as_what_it_is() -> None:
    """It is allowed, and odd: the webmail warns, and DMARC proves no author of it."""
    message = from_("north.test: x@evil.example;")
    assert "from-group" in show_message(message).warnings
    view = view_of(make_facts(message))
    assert view.author is not None
    assert view.author.address == "x@evil.example"


def test_a_part_behind_the_end() -> None:
    message = (
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b--\r\n"
        b"--c\r\nContent-Type: text/html\r\n\r\nhidden\r\n--c--\r\n\r\n--c--\r\n\n"
        b"Content-Type: text/html\r\n\r\nhidden\r\n"
    )  # fmt: skip
    assert "structure.hidden-epilogue" in signals(message)


def test_text_for_the_filter_and_html_for_the_reader() -> None:
    plain = (
        "children came home from their garden, told grandmother about birds, foxes, apples, "
        "rivers, clouds, bread, olives, winter, lamps, stories"
    )
    rich = (
        "cheap watches replica luxury bargains discount pills without prescription order "
        "casino bonus today winners deposit profit guaranteed miracle"
    )
    message = (
        HEAD + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n"
        + plain.encode() + b"\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>" + rich.encode()
        + b"</p>\r\n--b--\r\n"
    )  # fmt: skip
    assert "structure.texts-differ" in signals(message)
    assert "pills" in find_tokens(view_of(make_facts(message)))


# ---- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "<p>via<!-- x -->gra</p>",
        "<p>via<b></b>gra</p>",
        "<p>via&shy;gra</p>",
        "<p>via&#8203;gra</p>",
        "<p>v&#105;agra</p>",
        "<p>ｖｉａｇｒａ</p>",
        "<p>vi\u0430gr\u0430</p>",
        "<p>v1agra</p>",
        "<p>v i a g r a</p>",
        "<p>VIAGRA</p>",
        '<p>via<span style="display:none">xyz</span>gra</p>',
        '<p>via<span style="font-size:0">xyz</span>gra</p>',
    ],
)
def test_words_are_read_as_the_reader_reads_them(body: str) -> None:
    assert "viagra" in find_tokens(view_of(make_facts(html(body))))


@pytest.mark.parametrize("text", ["حـبـوب", "حُبُوب", "حبوب", "حب\u200fوب", "والحبوب", "للحبوب"])
def test_arabic_words_in_any_dress(text: str) -> None:
    assert "حبوب" in words_of(text)


def test_text_in_base64_and_in_any_charset() -> None:
    for charset in ("utf-8", "windows-1256", "utf-16"):
        body = base64.encodebytes("viagra سحري".encode(charset))
        message = (
            HEAD + f"Content-Type: text/plain; charset={charset}\r\n".encode()
            + b"Content-Transfer-Encoding: base64\r\n\r\n" + body
        )  # fmt: skip
        assert {"viagra", "سحري"} <= find_tokens(view_of(make_facts(message)))


def test_overlong_utf_8_becomes_no_ascii() -> None:
    """C0 AF is no slash, and C1 9C no backslash."""
    view = view_of(make_facts(html("") + b'<a href="https:\xc0\xaf\xc0\xafevil.test">x</a>'))
    assert "https://evil.test" not in {link.target for link in view.links}


def test_an_encoded_word_that_is_split_inside_a_letter() -> None:
    message = from_("x@evil.example").replace(
        b"Subject: hello", b"Subject: =?utf-8?q?vi=C3?= =?utf-8?q?=A0gra?="
    )
    assert view_of(make_facts(message)).subject == "vi\u00e0gra"
    assert show_message(message).subject == "vi\u00e0gra"


# ---- links --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "signal"),
    [
        ("https://bank.example@evil.example/", "phish.user-in-link"),
        ("https:\\\\bank.example@evil.example/", "phish.user-in-link"),
        ("https://bank.example.evil.example/", "phish.lookalike-link"),
        ("https://bank-example.evil.example/", "phish.lookalike-link"),
        ("https://b\u0430nk.example/", "phish.lookalike-link"),
        ("https://xn--bnk-6cd.example/", "phish.lookalike-link"),
        ("https://ｎｏｒｔｈ.test.evil.example/", "phish.lookalike-link"),
        ("http://0300.0250.1/", "phish.address-link"),
        ("http://3232235777/", "phish.address-link"),
        ("http://[::ffff:192.0.2.1]/", "phish.address-link"),
        ("java\tscript:alert(1)", "phish.bad-scheme"),
        (" javascript:alert(1)", "phish.bad-scheme"),
        ("data:text/html;base64,PGI+", "phish.bad-scheme"),
    ],
)
def test_links_are_read_as_browsers_read_them(target: str, signal: str) -> None:
    assert signal in signals(html(f'<a href="{target}">go</a>'))


@pytest.mark.parametrize(
    "link",
    [
        "<A HREF=https://evil.example>https://bank.example</A>",
        '<a title=">" href="https://evil.example">bank.example</a>',
        '<a href="https://evil.example" href="https://bank.example">bank.example</a>',
        '<a href="https://evil.example"><b>bank</b>.exam<i></i>ple</a>',
        '<a href="https://evil.example">bank&#46;example</a>',
        "<a\nhref\n=\n'https://evil.example'\n>www.bank.example</a>",
    ],
)
def test_words_of_a_link_that_name_another_place(link: str) -> None:
    assert "phish.link-names-other" in signals(html(link))


# ---- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "signal"),
    [
        ('"amal@north.test" <x@evil.example>', "phish.name-shows-address"),
        ('"amal＠north.test" <x@evil.example>', "phish.name-shows-address"),
        ("=?utf-8?b?YW1hbEBub3J0aC50ZXN0?= <x@evil.example>", "phish.name-shows-address"),
        ("=?utf-8?q?amal=40?= =?utf-8?q?north.test?= <x@evil.example>", "phish.name-shows-address"),
        ("\u0410mal Haddad <x@evil.example>", "phish.name-of-ours"),
        ("Ａｍａｌ　Ｈａｄｄａｄ <x@evil.example>", "phish.name-of-ours"),
        ("Amal\u200b Haddad <x@evil.example>", "phish.name-of-ours"),
        ("p\u0430ypal <x@evil.example>", "phish.mixed-script-name"),
        ("=?utf-8?b?4oCubGFtYQ==?= <x@evil.example>", "phish.direction-control"),
        ("x@n\u043erth.test", "phish.lookalike-author"),
        ("x@xn--nrth-55d.test", "phish.lookalike-author"),
        ("x@rnicrosoft.com", "phish.lookalike-author"),
    ],
)
def test_names_made_to_be_taken_for_others(value: str, signal: str) -> None:
    assert signal in signals(from_(value))


# ---- one parse ----------------------------------------------------------------------------------

PIECES = st.lists(
    st.sampled_from(
        [b"--b\r\n", b"--b--\r\n", b"--c\r\n", b"Content-Type: text/html\r\n", b"\r\n",
         b"Content-Type: text/plain; name=x\r\n", b"Content-Type: message/rfc822\r\n",
         b"Content-Type: multipart/alternative; boundary=c\r\n", b"word ", b"<p>other</p>",
         b"Content-Disposition: attachment\r\n", b"Content-Disposition: inline; filename=a\r\n",
         b"Content-Transfer-Encoding: base64\r\n", b"d29yZA==\r\n"]
    ),
    max_size=14,
).map(b"".join)  # fmt: skip


@given(PIECES)
def test_what_is_judged_is_what_is_shown(body: bytes) -> None:
    """Every word that the webmail shows as the text of a mail was looked at."""
    message = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body
    seen = view_of(make_facts(message)).visible_text
    shown = show_message(message)
    for word in ("word", "other"):
        if word in repr(shown.paragraphs) or word in (shown.html or ""):
            assert word in seen
