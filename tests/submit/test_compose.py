from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.mail import NOON_MS
from zajil.core.address import parse_address
from zajil.message.build import NewAttachment
from zajil.message.encoded_word import decode_words
from zajil.message.fields import read_fields, split_message
from zajil.message.parse import parse_message
from zajil.read.shown import show_message
from zajil.submit.compose import BadForm, Composed, ComposeForm, compose_message

AMAL = parse_address("amal@north.test")
SALMA = parse_address("سلمى@زاجل.test")
FORM = ComposeForm(
    sender=AMAL,
    sender_name="Amal",
    to="Sami <sami@south.test>",
    subject="A letter",
    text="Dear Sami,\n",
)


def compose(**changes: object) -> Composed:
    form = dataclasses.replace(FORM, **changes)  # type: ignore[arg-type]
    return compose_message(form, now_ms=NOON_MS, unique="abc")


def test_a_plain_letter_is_plain_text() -> None:
    assert compose().message == (
        b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nFrom: Amal <amal@north.test>\r\n"
        b"To: Sami <sami@south.test>\r\nSubject: A letter\r\nMessage-ID: <abc@north.test>\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n\r\nDear Sami,\r\n"
    )


def test_everybody_is_a_recipient_once_and_bcc_leaves_no_trace() -> None:
    made = compose(cc="sami@south.test, two@south.test", bcc="Hidden <hidden@west.test>")
    assert [str(address) for address in made.recipients] == [
        "sami@south.test",
        "two@south.test",
        "hidden@west.test",
    ]
    assert b"idden" not in made.message
    assert b"Bcc" not in made.message


def test_a_hidden_utf_8_recipient_does_not_change_the_message() -> None:
    made = compose(bcc="سلمى@زاجل.test")
    assert made.message == compose().message
    assert made.needs_smtputf8


def test_arabic_text_carries_its_direction() -> None:
    made = compose(subject="تحية", text="مرحبا\n\n> hello\n", direction="rtl")
    root = parse_message(made.message)
    html = root.find("2")
    assert root.type == "multipart/alternative"
    assert html
    text = html.text(made.message)
    assert '<div dir="rtl">' in text
    assert '<p dir="rtl">مرحبا</p>' in text
    assert '<p dir="ltr">hello</p>' in text
    assert made.message.isascii()
    assert not made.needs_smtputf8


def test_direction_auto_is_kept_where_text_has_both() -> None:
    made = compose(text="Hello\n\nمرحبا\n")
    assert b'dir=3D"auto"' in made.message or b"dir" not in made.message
    assert parse_message(made.message).type == "multipart/alternative"


def test_utf_8_addresses_stand_raw_in_the_header_section() -> None:
    """RFC 6532 section 3.2."""
    made = compose(sender=SALMA, sender_name="سلمى", to="أمل <amal@north.test>")
    assert made.needs_smtputf8
    assert 'From: "سلمى" <سلمى@زاجل.test>\r\n'.encode() in made.message
    assert made.message_id == f"<abc@{SALMA.domain}>"


def test_an_answer_belongs_to_its_thread() -> None:
    """RFC 5322 section 3.6.4."""
    ids = " ".join(f"<{number}@x.test>" for number in range(50))
    made = compose(in_reply_to="<49@x.test>", references=ids)
    fields = {field.name: field.value for field in read_fields(made.message)}
    assert fields[b"in-reply-to"] == b" <49@x.test>"
    assert fields[b"references"].split()[0] == b"<0@x.test>"
    assert len(fields[b"references"].split()) == 20


def test_odd_thread_ids_are_left_out() -> None:
    made = compose(in_reply_to="no-id", references="x <\x07@y> <good@x.test>")
    assert b"In-Reply-To" not in made.message
    assert b"\x07" not in made.message


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("to", {"to": ""}),
        ("to", {"to": "Sami"}),
        ("to", {"to": "a@b.test, nonsense"}),
        ("cc", {"cc": "<a@b.test"}),
        ("bcc", {"bcc": "a@b.test <c@d.test>"}),
        ("subject", {"subject": "x\r\nBcc: y@z.test"}),
        ("sender", {"sender_name": "x\nBcc: y@z.test"}),
        ("attachments", {"attachments": (NewAttachment("a\nb", "text/plain", b""),)}),
    ],
)
def test_a_wrong_form_is_refused_with_its_field(field: str, changes: dict[str, object]) -> None:
    """GHSA-v3q9-hj7j-63hq, attacks D: no form can write a field of its own."""
    with pytest.raises(BadForm) as refused:
        compose(**changes)
    assert refused.value.field == field


@pytest.mark.parametrize("separator", [",", "،", "؛", ";", "\n", " , "])
def test_people_separate_addresses_in_many_ways(separator: str) -> None:
    made = compose(to=f"a@b.test{separator}c@d.test")
    assert len(made.recipients) == 2


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=80),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.sampled_from(["auto", "ltr", "rtl"]),
)
def test_what_was_written_is_what_is_read(subject: str, text: str, direction: str) -> None:
    made = compose(subject=subject, text=text, direction=direction)
    root = parse_message(made.message)
    assert decode_words(root.value(b"subject") or b"") == subject
    assert len(read_fields(made.message[: split_message(made.message)[0]])) in (7, 8)
    assert b"\n" not in made.message.replace(b"\r\n", b"")
    view = show_message(made.message)
    assert view.warnings == ()
    assert view.attachments == ()


def test_no_line_is_longer_than_998_octets() -> None:
    """RFC 5322 section 2.1.1: whatever is written into the form."""
    made = compose(
        sender_name="N" * 3000,
        to=", ".join(f"{'x' * 60}{number} <u{number}@south.test>" for number in range(300)),
        subject="s" * 4000,
        text="t" * 5000 + "\n" + "م" * 4000,
        in_reply_to=f"<{'i' * 480}@south.test>",
        references=" ".join(f"<{number}{'r' * 400}@south.test>" for number in range(40)),
        attachments=(NewAttachment("f" * 3000, "image/png", b"x" * 9000),),
    )
    assert max(map(len, made.message.split(b"\r\n"))) <= 998
