"""Words of a mail, Arabic and English, honest and hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.check.learned.tokens import MAX_TOKENS, find_tokens, tokens_of, words_of
from zajil.message.view import MessageView


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Cheap PILLS, don't wait", {"cheap", "pills", "don", "wait"}),
        # One alef, one yeh, one heh; no tatweel, no vowel marks, no hamza on a carrier.
        ("أسعار إسعار آسعار", {"اسعار"}),
        ("مـــجـــانـــاً", {"مجانا"}),
        ("مَجَّانًا", {"مجانا"}),
        ("هدية هديه", {"هديه"}),
        ("مستشفى مستشفي", {"مستشفي"}),
        ("مسؤول مسئول", {"مسوول", "مسيول"}),
        # The article, alone and behind what is written with it.
        ("الجائزة والجائزة بالجائزة فالجائزة كالجائزة للجائزة", {"جايزه"}),
        ("وجوائز", {"جوايز"}),
        ("وصل ورد الله", {"وصل", "ورد", "الله"}),
        # Digits of all scripts, generalised.
        ("٥٠٠٠ 1234 ۱۲", {"number:4", "number:2"}),
        ("اربح ٥٠٠٠ ريال", {"اربح", "number:4", "ريال", "money:"}),
        # What cannot be seen parts no word.
        ("ج\u200bا\u200cئ\u202eز\u2066ة", {"جايزه"}),
        ("via\u00adg\u200bra", {"viagra"}),
        # Evasions.
        ("v i a g r a", {"viagra", "spaced-out:"}),
        ("v.i.a.g.r.a", {"viagra", "spaced-out:"}),
        ("v1agra", {"v1agra", "vlagra", "viagra"}),
        ("c0ffee", {"c0ffee", "coffee"}),
        ("р\u0430yp\u0430l", {"paypal", "mixed-scripts:"}),
        ("ＦＲＥＥ", {"free"}),
        # No spaces between words.
        ("免费礼物", {"免费", "费礼", "礼物"}),
        ("A" * 1000, {"long:aaaaaa~90"}),
        ("", set()),
    ],
)
def test_words(text: str, want: set[str]) -> None:
    assert set(words_of(text)) == want


MAIL = (
    "From: =?utf-8?B?2KfZhNio2YbZgw==?= <info@bank.test>\r\n"
    "Subject: Your prize\r\nList-Id: <offers.bank.test>\r\nX-Mailer: PHPMailer 6.1\r\n"
    "Content-Type: text/html; charset=utf-8\r\n\r\n"
    '<p>Claim the prize <a href="https://a.win.example/x?u=1">here</a></p>\r\n'
)


def test_where_a_word_stood_is_kept() -> None:
    assert tokens_of(MAIL.encode()) == {
        *("subject:your", "subject:prize", "name:بنك", "from:bank.test"),
        *("claim", "the", "prize", "here", "link:a.win.example", "link:*.win.example"),
        *("mail:list", "mail:by phpmailer", "mail:type text/html"),
    }


BOMBS = {
    "one word of a megabyte": "a" * 1_000_000,
    "a million tokens": " ".join(str(number) + "x" for number in range(150_000)),
    "single letters": "a " * 500_000,
    "Han": "免费" * 300_000,
    "marks": "ا" + "\u064b" * 500_000,
    "invisible": "\u200b" * 500_000,
    "mixed": "аa" * 300_000,
    "digits": "1a" * 500_000,
    "ligatures": "ﷺ" * 200_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_cost_what_others_cost(bomb: str) -> None:
    mail = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + bomb.encode()
    assert len(tokens_of(mail)) <= MAX_TOKENS
    assert len(tokens_of(b"Subject: " + bomb.encode() + b"\r\n\r\n")) <= MAX_TOKENS


@given(st.text(max_size=300))
def test_words_are_bounded_and_stable(text: str) -> None:
    words = words_of(text)
    assert words == words_of(text)
    assert all(0 < len(word) <= 40 for word in words)


@given(st.binary(max_size=400))
def test_no_mail_makes_it_raise(data: bytes) -> None:
    assert find_tokens(MessageView(b"", [], data)) == tokens_of(b"\r\n" + data) or tokens_of(data)
