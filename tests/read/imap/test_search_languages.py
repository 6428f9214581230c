"""SEARCH finds what people mean: spellings of Arabic, other scripts, and forms of words."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from store.test_text_index import index
from zajil.store.engine.open import Store

# What is looked for, and what the message says: SEARCH finds a piece of a text.
PAIRS = [
    # Forms of alef, and hamza on its carriers
    ("احمد", "وصل أحمد إلى المطار"),
    ("أحمد بن", "كتب احمد بن سالم"),
    ("إسلام", "حديث عن اسلام الجنوب"),
    ("الاسعار", "ارتفعت الأسعار كثيرا"),
    ("اخر", "الموعد آخر الشهر"),
    ("القرآن", "درس القران صباحا"),
    ("مسوول", "تحدث مسؤول كبير"),
    ("شؤون", "وزارة شوون البيئة"),
    ("رييس", "اجتمع رئيس القسم"),
    ("بيئة", "حماية بييه الساحل"),
    ("ٱلحمد", "قال الحمد وشكر"),
    # Teh marbuta and heh, yeh and alef maksura
    ("شركه", "أسست شركة جديدة"),
    ("مكتبة", "زرت مكتبه الحي"),
    ("علي", "وضعه على الطاولة"),
    ("مستشفى", "نقل الى مستشفي المدينة"),
    ("القاضي", "حكم القاضى بالعدل"),
    # Vowel marks, tatweel, what cannot be seen
    ("مدرسة", "هذه مَدْرَسَةٌ قديمة"),
    ("عَقْد", "وقعنا عقد الإيجار"),
    ("محمد", "كتب محـــمد الرسالة"),
    ("سـلام", "سلام عليكم"),
    ("هذا", "هٰذا بيتنا"),
    ("موافق", "أنا \u200fمواف\u200cق\u200f تماما"),
    ("الله", "بسم ٱللَّٰه"),
    # Digits of all scripts
    ("2026", "اجتماع عام ٢٠٢٦"),
    ("١٥", "الغرفة 15 يمينا"),
    ("1403", "سال ۱۴۰۳ خورشیدی"),
    ("۷۸۹", "رقم ٧٨٩ للطلب"),
    ("3.50", "السعر ٣.٥٠ ريال"),
    # Prefixes and endings: a piece of the word
    ("كتاب", "قرأت والكتاب مفتوح"),
    ("ميناء", "رست السفينة بالميناء"),
    ("مدير", "سلمته للمدير مباشرة"),
    ("بيت", "فبيتنا قريب"),
    ("معلم", "حضر المعلمون جميعا"),
    # Persian and Urdu
    ("كتاب خانه", "کتاب خانه ملی"),
    ("ایران", "سفر به ايران"),
    ("پاکستان", "پاكستان زنده باد"),
    # Scripts without spaces
    ("会议", "明天的会议改到下午三点"),
    ("会议改", "明天的会议改到下午"),
    ("北京", "我在北京工作"),
    ("日", "来日方长"),
    ("東京都", "東京都庁の住所"),
    ("カタカナ", "カタカナで書く"),
    ("カタ", "ｶﾀ半角"),
    ("회의", "내일회의가 있습니다"),
    ("ประชุม", "วันนี้มีประชุมใหญ่"),
    ("２０２６", "2026年度"),
    # Latin, Greek, Cyrillic, Hebrew
    ("cafe", "Un CAFÉ noir"),
    ("STRASSE", "Lange Straße"),
    ("istanbul", "ISTANBUL ve Ankara"),
    ("ΛΌΓΟΣ", "ο λόγος"),
    ("москва", "Приехал в МОСКВА-Сити"),
    ("שלום", "אמר שלום לכולם"),
    ("office", "the oﬃce key"),
    # Mixed texts, signs
    ("فاتورة PDF", "أرفقت فاتورة pdf هنا"),
    ("iphone", "اشتريت iPhone جديد"),
    ("مشروع2", "ملف مشروع٢ النهائي"),
    ("amal@north", "راسل amal@NORTH.test غدا"),
    ("邮件 Outlook", "用邮件 outlook 打开"),
    ("report-٢٠٢٥", "the REPORT-2025 is here"),
    ("«مهم»", "هذا «مهم» جدا"),
    ("a & b", "see A & B now"),
    ("😀", "good 😀 day"),
]
# With FUZZY a word in another form is found too.
FORMS = [
    ("الكتاب", "قرأت كتاب التاريخ"),
    ("والمدرسة", "بنيت مدرسة هنا"),
    ("بالسفينة", "أبحرت سفينه كبيرة"),
    ("للتقارير", "جمع تقارير السنة"),
    ("معلمون", "حضر المعلمين كلهم"),
    ("طالبات", "وصلت الطالبة مبكرا"),
    ("كتابها", "هذا الكتاب مفيد"),
    ("contracts", "I signed the contract today"),
    ("running", "she runs daily"),
    ("meetings tomorrow", "tomorrow: one meeting"),
]
# What looks alike and is another word.
OTHERS = [
    ("قلب", "سمعت كلب الجار"),
    ("سورة", "أخذنا صورة جميلة"),
    ("2027", "عام ٢٠٢٦"),
    ("京东", "東京"),
    ("علم", "عالم كبير"),
    ("amp", "a & b"),
]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def as_subject(text: str) -> bytes:
    return f"Subject: =?utf-8?B?{_encoded(text)}?=\r\n\r\nx\r\n".encode()


def as_text(text: str) -> bytes:
    head = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n{_encoded(text)}\r\n".encode()


def as_html(text: str) -> bytes:
    """Write each letter as an entity; a word is not divided by marks of form."""
    letters = "".join([f"&#{ord(one)};" if one != " " else one for one in text])
    half = letters.find(";") + 1
    body = f"<p>{letters[:half]}<b></b>{letters[half:]}</p>"
    return f"Subject: x\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n{body}\r\n".encode()


WAYS = {"SUBJECT": as_subject, "BODY": as_text, "TEXT": as_html}


async def finds(imap: ImapClient, key: str, term: str) -> set[int]:
    data = term.encode()
    command = b"SEARCH CHARSET UTF-8 %b {%d+}\r\n%b" % (key.encode(), len(data), data)
    (line, _) = await imap.ok(command)
    return {int(one) for one in line.removeprefix(b"* SEARCH").split()}


@pytest.mark.parametrize("key", WAYS)
def test_what_is_meant_is_found(store: Store, tmp_path: Path, key: str) -> None:
    """Whether it is indexed yet or not."""
    who = make_reader(store)
    said = [*PAIRS, *FORMS, *OTHERS]

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _, text in said:
                await imap.append("INBOX", WAYS[key](text))
            await imap.ok("SELECT INBOX")
            for state in ("waits", "indexed"):
                missed = []
                for number, (term, text) in enumerate(said, 1):
                    if number <= len(PAIRS):
                        is_right = number in await finds(imap, key, term)
                    else:
                        is_form = number <= len(PAIRS) + len(FORMS)
                        is_right = (number in await finds(imap, f"FUZZY {key}", term)) == is_form
                        is_right = is_right and number not in await finds(imap, key, term)
                    if not is_right:
                        missed.append((term, text))
                assert not missed, state
                await asyncio.to_thread(index, store, who)

    asyncio.run(run())
