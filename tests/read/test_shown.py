from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.mail import NOON_MS, make_message
from zajil.core.address import parse_address
from zajil.message.build import NewAttachment, build_message, write_address_field, write_text_field
from zajil.message.header_view import Person
from zajil.message.parse import parse_message
from zajil.message.summary import Summary, summarize
from zajil.message.view import PREVIEW_LENGTH, MessageView
from zajil.read.shown import show_message


def summary_of(data: bytes) -> Summary:
    return summarize(MessageView.from_bytes(data))


def preview_of(data: bytes) -> str:
    return MessageView.from_bytes(data).preview


SALMA = parse_address("سلمى@زاجل.test")


def test_a_letter_in_arabic() -> None:
    letter = make_message(
        "سلمى@زاجل.test", subject="تحية", text="السلام عليكم\n\nThanks, سلمى\n\n> hello\n"
    )
    view = show_message(letter)
    assert (view.subject, view.subject_direction) == ("تحية", "rtl")
    assert view.senders == (Person("", "سلمى@زاجل.test", SALMA.domain),)
    assert view.senders[0].label == "سلمى@زاجل.test"
    assert view.to == (Person("", "sami@south.test", "south.test"),)
    assert view.date_ms == NOON_MS
    assert [(one.direction, one.quote_depth) for one in view.paragraphs] == [
        ("rtl", 0),
        ("ltr", 0),
        ("ltr", 1),
    ]
    assert view.html is None
    assert preview_of(letter) == "السلام عليكم Thanks, سلمى"
    assert view.references == "<letter-1@north.test>"
    assert view.warnings == ()


def test_windows_1256_is_read() -> None:
    data = (
        b"Subject: =?windows-1256?B?09HHoQ==?=\r\n"
        b"Content-Type: text/plain; charset=windows-1256\r\n\r\n" + "مرحبا".encode("cp1256")
    )
    view = show_message(data)
    assert view.subject == "سرا،"
    assert view.paragraphs[0].text == "مرحبا"


def test_html_with_a_plain_alternative_shows_both_ways() -> None:
    data = make_message(text="plain words", html='<p>rich</p><img src="http://x.test/p">')
    view = show_message(data)
    assert [one.text for one in view.paragraphs] == ["plain words"]
    assert view.html is not None
    assert "rich" in view.html
    assert view.blocked == 1
    assert preview_of(data) == "plain words"


def test_html_alone_has_its_words_as_text() -> None:
    data = b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>one</p><p>two &lt;b&gt;</p>"
    view = show_message(data)
    assert [one.text for one in view.paragraphs] == ["one", "two <b>"]
    assert preview_of(data) == "one two <b>"


def test_plain_text_beside_html_is_not_lost() -> None:
    """A list's footer is a part of its own."""
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>letter</p>\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nfooter <of the list>\r\n--b--\r\n"
    )
    view = show_message(data)
    assert view.html is not None
    assert "footer &lt;of the list&gt;" in view.html
    assert [one.text for one in view.paragraphs] == ["letter", "footer <of the list>"]


def test_attachments_are_listed_with_the_number_of_their_part() -> None:
    data = build_message(
        [write_text_field("Subject", "x", utf8=True)],
        "text",
        attachments=[NewAttachment("تقرير.pdf", "application/pdf", b"x" * 5700)],
        unique="u",
    )
    (file,) = show_message(data).attachments
    named = file.number, file.filename, file.content_type, file.size
    assert named == ("2", "تقرير.pdf", "application/pdf", 5700)
    part = parse_message(data).find(file.number)
    assert part is not None
    assert part.content(data) == b"x" * 5700
    assert summary_of(data).has_attachments


def test_an_enclosed_message_is_a_file_and_its_words_are_not_the_letter_s() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nmine\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: theirs\r\n\r\ninner\r\n--b--\r\n"
    )
    view = show_message(data)
    assert [one.text for one in view.paragraphs] == ["mine"]
    assert [(one.number, one.filename) for one in view.attachments] == [("2", "message.eml")]


def test_inline_images_point_to_their_part() -> None:
    data = (
        b"Content-Type: multipart/related; boundary=b\r\n\r\n"
        b'--b\r\nContent-Type: text/html\r\n\r\n<img src="cid:pic@x">\r\n'
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <pic@x>\r\n\r\nPNG\r\n--b--\r\n"
    )
    view = show_message(data, part_url=lambda number: f"/part/{number}")
    assert view.html is not None
    assert '<img src="/part/2">' in view.html
    assert "src" not in (show_message(data).html or "")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "_etc_passwd"),
        ("C:\\Windows\\x.exe", "C_Windows_x.exe"),
        ("invoice\u202efdp.exe", "invoice fdp.exe"),
        ("...", "part-1.octet-stream"),
        ("", "part-1.octet-stream"),
        ("تقرير.pdf", "تقرير.pdf"),
    ],
)
def test_names_of_files_are_harmless(name: str, shown: str) -> None:
    """Attacks I: a name that turns around shows a harmless ending; attacks M: no paths."""
    data = (
        "Content-Type: application/octet-stream\r\n"
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\nx'
    ).replace("\\", "\\\\").encode()  # fmt: skip
    (file,) = show_message(data).attachments
    assert file.filename.strip("_. ") == shown.strip("_. ")
    assert "/" not in file.filename


@pytest.mark.parametrize(
    ("header", "warning"),
    [
        (b"Subject: x\r\n", "no-from"),
        (b"From: a@b.test\r\nFrom: c@d.test\r\n", "several-from"),
        (b"From: nobody\r\n", "bad-from"),
        (b"From: g: a@b.test, c@d.test;\r\n", "from-group"),
        (b'From: "boss@bank.test" <evil@x.test>\r\n', "name-is-address"),
        (b"From: =?utf-8?Q?boss=40bank.test?= <evil@x.test>\r\n", "name-is-address"),
    ],
)
def test_doubtful_authors_are_flagged(header: bytes, warning: str) -> None:
    """Attacks I: duplicate From, groups, names that pretend to be addresses."""
    assert warning in show_message(header + b"\r\n").warnings


def test_direction_and_control_characters_do_not_reach_the_page() -> None:
    header = write_address_field("From", [("\u202eevil\u2066\x07", SALMA)], utf8=True)
    view = show_message(header + "Subject: a\u202eb\x1b[31m\r\n\r\n".encode())
    shown = view.subject + view.senders[0].label
    assert not set(shown) & set("\u202e\u2066\x07\x1b")


def test_joiners_that_words_need_stay() -> None:
    """Persian writes a zero-width non-joiner inside words."""
    assert show_message("Subject: می\u200cروم\r\n\r\n".encode()).subject == "می\u200cروم"


def test_cve_2020_7957_previews_of_odd_text_are_short() -> None:
    for text in ("", "\n\n", "> quoted\n", "x" * 100_000, "ـ" * 5000, "\u202e" * 500):
        assert len(preview_of(make_message(text=text))) <= PREVIEW_LENGTH


def test_a_summary_says_what_the_page_says() -> None:
    letter = make_message(subject="تحية", text="words")
    view, summary = show_message(letter), summary_of(letter)
    assert (summary.subject, summary.senders, summary.to, summary.date_ms, summary.preview) == (
        view.subject,
        view.senders,
        view.to,
        view.date_ms,
        preview_of(letter),
    )
    assert not summary.has_attachments


MIXED = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/html; name=page.html\r\n",
        b"Content-Type: text/html; name*=utf-8''page.html\r\nContent-Disposition: inline\r\n",
        b"Content-Type: text/html\r\nContent-Disposition: INLINE; filename=page.html\r\n",
        b"Content-Type: text/plain; name=page.html\r\n",
        b"Content-Disposition: inline; filename=page.html\r\n",
    ],
)
def test_a_text_with_a_name_is_shown_and_offered_as_a_file(header: bytes) -> None:
    """RFC 8621 section 4.1.4, RFC 2183 section 2.1."""
    alone = header + b"\r\nolive tree\r\n"
    second = MIXED + b"--o\r\n\r\nfirst\r\n--o\r\n" + alone + b"--o--\r\n"
    related = MIXED.replace(b"mixed", b"related") + b"--o\r\n" + alone + b"--o--\r\n"
    for data, number in ((alone, "1"), (second, "2"), (related, "1")):
        view = show_message(data)
        assert view.paragraphs[-1].text == "olive tree"
        assert [(one.number, one.filename) for one in view.attachments] == [(number, "page.html")]
        assert summary_of(data).has_attachments


def test_a_text_that_is_an_attachment_is_a_file_alone() -> None:
    data = b"Content-Disposition: attachment; filename=page.txt\r\n\r\nolive tree\r\n"
    view = show_message(data)
    assert view.paragraphs == ()
    assert [one.filename for one in view.attachments] == ["page.txt"]


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: multipart/alternative\r\n\r\nolive <b>tree\r\n",
        b"Content-Type: multipart/mixed; boundary=never\r\n\r\nolive <b>tree\r\n",
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\nolive <b>tree\r\n',
        MIXED + b"--o\r\nContent-Type: multipart/related; boundary=i\r\n\r\nolive <b>tree\r\n--o--",
        b"Content-Type: multipart/mixed\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"b2xpdmUgPGI+dHJlZQ==\r\n",
    ],
)
def test_a_multipart_without_parts_is_text(data: bytes) -> None:
    view = show_message(data)
    assert [one.text for one in view.paragraphs] == ["olive <b>tree"]
    assert view.html is None
    assert view.attachments == ()


def multipart(subtype: str, boundary: str, *parts: bytes) -> bytes:
    mark = boundary.encode()
    return (
        b"Content-Type: multipart/%s; boundary=%s\r\n\r\n" % (subtype.encode(), mark)
        + b"".join([b"--%s\r\n%s\r\n" % (mark, part) for part in parts])
        + b"--%s--\r\n" % mark
    )


def plain(words: str) -> bytes:
    return b"Content-Type: text/plain\r\n\r\n" + words.encode()


def rich(words: str) -> bytes:
    return b"Content-Type: text/html\r\n\r\n<p>%s</p>" % words.encode()


@pytest.mark.parametrize(
    ("data", "as_text", "as_html"),
    [
        (
            multipart(
                "mixed",
                "o",
                multipart("alternative", "a", plain("p1"), rich("h1")),
                multipart("alternative", "b", rich("h2")),
                multipart("alternative", "c", plain("p3")),
            ),
            ["p1", "h2", "p3"],
            ["h1", "h2", "p3"],
        ),
        (
            multipart(
                "alternative", "a", plain("p1"), multipart("mixed", "m", rich("h1"), plain("p2"))
            ),
            ["p1", "p2"],
            ["h1", "p2"],
        ),
        (
            multipart("alternative", "a", multipart("mixed", "m", plain("p1"), rich("h1"))),
            ["p1", "h1"],
            ["p1", "h1"],
        ),
        (
            multipart("alternative", "a", plain("p1"), multipart("alternative", "b", rich("h1"))),
            ["p1"],
            ["h1"],
        ),
    ],
    ids=["beside", "footer", "one", "nested"],
)
def test_each_alternative_decides_for_itself(
    data: bytes, as_text: list[str], as_html: list[str]
) -> None:
    view = show_message(data)
    assert [one.text for one in view.paragraphs] == as_text
    assert view.html is not None
    shown = [words for words in ("p1", "h1", "p2", "h2", "p3") if words in view.html]
    assert sorted(shown) == sorted(as_html)


PIECES = st.lists(
    st.sampled_from(
        [b"From: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"text/html", b"text/plain",
         b"multipart/mixed; boundary=b", b"multipart/alternative; boundary=b", b"\r\n", b"\r\n\r\n",
         b"--b\r\n", b"--b--\r\n", b"; charset=", b"utf-16", b"windows-1256", b"=?utf-8?B?", b"?=",
         b"Content-Transfer-Encoding: base64\r\n", b"<img src=cid:x>", b"; format=flowed",
         b"message/rfc822", b"Content-Disposition: attachment; filename*=", b"<", b">", b"@"]
    ) | st.binary(max_size=12)
).map(b"".join)  # fmt: skip


@given(PIECES)
@settings(max_examples=300)
def test_any_bytes_can_be_shown(data: bytes) -> None:
    view = show_message(data, remote_url=lambda url: url, part_url=lambda number: f"/{number}")
    root = parse_message(data)
    for file in view.attachments:
        assert root.find(file.number) is not None
        assert file.filename
    texts = [
        view.subject,
        preview_of(data),
        view.html or "",
        *(one.text for one in view.paragraphs),
    ]
    texts += [one.filename for one in view.attachments] + [one.label for one in view.senders]
    "".join(texts).encode("utf-8")
    summary_of(data)
