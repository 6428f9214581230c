"""The words of a mail, as the classifier learns and looks them up. Pure.

A set, not counts: how often a word stands in a mail says little, and costs a spammer nothing. All
is in ``normal_form``. Words are kept as they are, so that a verdict can name them; where one stood
is said by a prefix: ``subject:``, ``name:``, ``link:``, ``mail:``.

Of Arabic words the article is taken off, alone or with و ف ب ك before it, and لل; a single و too,
before four letters or more. Other prefixes are too often letters of the word itself.

Against evasion: what is not seen is dropped, letters of look-alike scripts inside a Latin word
become Latin, ``v1agra`` also counts as ``viagra`` and ``v i a g r a`` as one word.

Law: the time is linear in the text, of which at most ``MAX_TEXT`` characters are looked at, and at
most ``MAX_TOKENS`` tokens are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from zajil.message.fields import Field, find_value
from zajil.message.normal_form import normal_form
from zajil.message.view import MessageView

MAX_TEXT = 32_768
"""Characters of the visible text that are looked at."""
MAX_TOKENS = 600
_MAX_WORD = 24
"""Letters; of a longer word only its beginning and its length count."""
_MAX_LINKS = 40
_MAX_WORDS = 8192

_WORDS = re.compile(r"[^\W_]+")
_DIGIT = re.compile(r"[0-9]")
# All that is no ASCII letter or digit becomes a space: many times quicker than to match.
_ASCII_WORDS = bytes(code if chr(code).isalnum() and code < 128 else 32 for code in range(256))
_MONEY_SIGNS = "$€£¥₪₹﷼"
_MONEY_WORDS = frozenset(
    (
        *("usd", "eur", "sar", "aed", "egp", "dollars", "euro", "euros", "pounds"),
        *("ريال", "درهم", "جنيه", "دولار", "يورو", "دينار"),
    )
)
_ARTICLE = re.compile(r"(?:[وفبك]?ال|و?لل)(?=[^\W\d_]{3})|و(?=[^\W\d_]{4})")
_LEET = re.compile(r"[a-z][013457][a-z]|[a-z]{2}[013457]{2}")
_LEET_LETTERS = str.maketrans("013457", "oleast")
# Scripts that put no space between words: Han, kana, Thai, Lao, Khmer, Burmese.
_NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
# Cyrillic and Greek letters that look like Latin ones, in normal form.
_LOOKALIKES = str.maketrans(
    "авсԁеһіјкӏмпорԛѕтухѵԝαβεικνορτυχω", "abcdehijklmnopqstuxvwabeikvoptuxw"
)
_LATIN = re.compile(r"[a-z]")
_LIKE_LATIN = re.compile(r"[авсԁеһіјкӏмпорԛѕтухѵԝαβεικνορτυχω]")
_HOST = re.compile(r"(?:https?:)?//(?:[^/@\s]*@)?([^/:?#\s]{1,253})", re.IGNORECASE)
_MAILER = re.compile(r"[A-Za-z]{2,30}")


def find_tokens(view: MessageView) -> frozenset[str]:
    """Return what a mail is known by."""
    found = dict.fromkeys(header_tokens(view.fields))
    subject = words_of(view.subject[:1000])
    found.update(dict.fromkeys(["subject:" + word for word in subject]))
    author = view.author
    if author is not None:
        found.update(
            dict.fromkeys(["name:" + word for word in words_of(author.written_name[:200])])
        )
        if author.domain:
            found["from:" + author.domain[:100]] = None
    found.update(dict.fromkeys(_link_tokens(view)))
    found.update(dict.fromkeys(words_of(_start_of_text(view))))
    if len(found) > MAX_TOKENS:
        return frozenset(list(found)[:MAX_TOKENS])
    return frozenset(found)


def tokens_of(message: bytes) -> frozenset[str]:
    """Return the tokens of a whole message, or of its beginning."""
    return find_tokens(MessageView.from_bytes(message))


def words_of(text: str) -> list[str]:
    """Return the words of a text; those that are plain first.

    Args:
        text: as it is read; the caller bounds it.
    """
    # What else the normal form does is for other letters, and for searching.
    text = text.lower() if text.isascii() else normal_form(text)
    is_ascii = text.isascii()
    if is_ascii:
        words = text.encode("ascii").translate(_ASCII_WORDS).decode("ascii").split()[:_MAX_WORDS]
    else:
        words = _WORDS.findall(text)[:_MAX_WORDS]
    different = dict.fromkeys(words)
    # Nearly all English text has nothing but plain words.
    if is_ascii and not _DIGIT.search(text) and max(map(len, different), default=0) <= _MAX_WORD:
        found = [word for word in different if len(word) > 1]
        singles = len(different) - len(found)
    else:
        found, odd = _part_words(different, is_ascii=is_ascii)
        singles = sum([len(word) == 1 for word in different])
        for word in odd:
            found += _odd_word(word)
    if singles > 2:
        found += _spaced_out(words)
    if not _MONEY_WORDS.isdisjoint(different) or any([sign in text for sign in _MONEY_SIGNS]):
        found.append("money:")
    return found


def _part_words(words: Iterable[str], *, is_ascii: bool) -> tuple[list[str], list[str]]:
    """Return plain words, which are tokens as they are, and those that have to be looked at."""
    found = [word for word in words if 1 < len(word) <= _MAX_WORD and word.isalpha()]
    odd = [word for word in words if len(word) > _MAX_WORD or not word.isalpha()]
    if not is_ascii:
        odd += [word for word in found if not word.isascii()]
        found = [word for word in found if word.isascii()]
    return found, odd


def header_tokens(fields: Sequence[Field]) -> list[str]:
    """Return facts of a header section that mails of one kind share."""
    found = []
    for name, token in _FACTS:
        if find_value(fields, name) is not None:
            found.append(token)
    mailer = find_value(fields, b"x-mailer") or find_value(fields, b"user-agent")
    if mailer:
        family = _MAILER.search(mailer[:100].decode("latin-1"))
        if family is not None:
            found.append("mail:by " + family[0].lower())
    kind = find_value(fields, b"content-type")
    if kind:
        main = kind[:60].split(b";")[0].strip().decode("latin-1").lower()
        if main.isascii() and main.isprintable():
            found.append("mail:type " + main)
    return found


_FACTS = (
    (b"list-id", "mail:list"),
    (b"list-unsubscribe", "mail:unsubscribe"),
    (b"in-reply-to", "mail:answer"),
    (b"reply-to", "mail:reply-to"),
    (b"precedence", "mail:precedence"),
    (b"auto-submitted", "mail:automatic"),
    (b"x-priority", "mail:priority"),
)


def _start_of_text(view: MessageView) -> str:
    texts, room = [], MAX_TEXT
    for piece in view.texts:
        texts.append(piece.text[:room])
        room -= len(texts[-1])
        if room <= 0:
            break
    return "\n".join(texts)


def _link_tokens(view: MessageView) -> Iterable[str]:
    for link in view.links[:_MAX_LINKS]:
        target = link.target[:300]
        match = _HOST.match(target)
        if match is None:
            continue
        host = match[1].lower().rstrip(".")
        yield "link:" + host
        if host.count(".") > 1:
            yield "link:*." + ".".join(host.rsplit(".", 2)[1:])


@lru_cache(maxsize=16_384)
def _odd_word(word: str) -> tuple[str, ...]:
    """Return the tokens of a word that is not plain: long, with digits, or not of ASCII letters."""
    if word.isdecimal():
        return (f"number:{min(len(word), 12)}",) if len(word) > 1 else ()
    if not word.isascii():
        if _NO_SPACES.search(word):
            return tuple([word[at : at + 2] for at in range(min(len(word), 400) - 1)]) or (word,)
        if _LATIN.search(word) and _LIKE_LATIN.search(word):
            return (word.translate(_LOOKALIKES)[:_MAX_WORD], "mixed-scripts:")
        article = _ARTICLE.match(word)
        word = word[article.end() :] if article else word
    if len(word) > _MAX_WORD:
        return (f"long:{word[:6]}~{min(len(word) // 10, 9)}0",)
    if _LEET.search(word):
        plain = word.translate(_LEET_LETTERS)
        if "1" not in word:
            return (word, plain)
        return (word, plain, word.replace("1", "i").translate(_LEET_LETTERS))
    return (word,)


def _spaced_out(words: Sequence[str]) -> list[str]:
    """Put ``v i a g r a`` together: runs of at least four single letters."""
    found: list[str] = []
    run: list[str] = []
    for word in (*words, ""):
        if len(word) == 1 and not word.isdecimal():
            run.append(word)
            continue
        if len(run) > 3:
            found += ["".join(run)[:_MAX_WORD], "spaced-out:"]
        run = []
    return found
