"""What a person types to find messages: words in any form of them, phrases, fields. Pure.

``meeting "annual report" from:amal`` finds messages with a form of "meeting", with this phrase,
and with "amal" in From. All of it must be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from zajil.core.value_class import value_class
from zajil.message.index_words import index_words
from zajil.message.large_data import Data
from zajil.message.normal_form import search_form
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.searched_text import body_texts
from zajil.message.stems import Stems, clue_of_stem
from zajil.message.view import MessageView
from zajil.message.word_blocks import WordZone, mark_of_key, read_keys, word_of
from zajil.message.words import Anchor, Clue, find_words, is_unspaced

MAX_WORDS = 20
"""Words of a query that are looked at."""
_MAX_QUERY = 1000
"""Characters."""
_MAX_TEXT = 1 << 20
"""Characters of a message in which a phrase is looked for."""

_FIELDS = {"subject": WordZone.SUBJECT, "from": WordZone.SENDER, "to": WordZone.RECIPIENT}
_ITEM = re.compile(r'(?:(subject|from|to):)?(?:"([^"]*)"?|(\S+))', re.IGNORECASE)


@value_class(frozen=True, slots=True)
class QueryWord:
    """One word that a message must have, in this or another form."""

    clue: Clue
    """What all its forms have in common."""
    stem: str
    zone: WordZone
    """Where it must stand."""
    stems: Stems

    def accepts(self, key: bytes) -> bool:
        """Return whether a key of the index is a form of the word."""
        # A sign that stands for itself is in the pairs that it makes with its neighbours.
        is_sign = len(self.stem) == 1 and is_unspaced(self.stem)
        return is_sign or self.stems.stem_of(word_of(key)) == self.stem


@value_class(frozen=True, slots=True)
class Phrase:
    """A text that a message must have as it stands."""

    text: str
    """In its search form."""
    zone: WordZone


@value_class(frozen=True, slots=True)
class WordQuery:
    """All that a message must have. Not for several threads at once."""

    words: tuple[QueryWord, ...]
    """Of phrases, too."""
    phrases: tuple[Phrase, ...]

    def holds(self, data: Data) -> bool:
        """Return whether a message has all of it: for messages that the index does not decide."""
        view = MessageView.from_data(data)
        root = view.root if isinstance(data, bytes) else parse_message(data)
        block = index_words(view.fields, root, data).block
        keys = read_keys(block.words) if block is not None else []
        if not all(any(_fits(one, key) for key in keys) for one in self.words):
            return False
        return all(_has_phrase(view, root, data, phrase) for phrase in self.phrases)


def parse_query(text: str) -> WordQuery:
    """Return what a text asks for: words, phrases in quotes, and both in ``subject:``, ``from:``
    and ``to:``.
    """
    items: list[tuple[str, WordZone]] = []
    phrases: list[Phrase] = []
    for name, phrase, word in _ITEM.findall(text[:_MAX_QUERY]):
        zone = _FIELDS.get(name.lower(), WordZone.CONTENT)
        items.append((phrase or word, zone))
        shown = search_form(phrase).strip()
        if " " in shown:
            phrases.append(Phrase(shown, zone))
    return WordQuery(_words(items), tuple(phrases))


def word_query(text: str, zone: WordZone = WordZone.CONTENT) -> WordQuery:
    """Return the query for all words of a text, whatever else it holds."""
    return WordQuery(_words([(text[:_MAX_QUERY], zone)]), ())


def _words(items: Sequence[tuple[str, WordZone]]) -> tuple[QueryWord, ...]:
    stems = Stems()
    found: dict[tuple[str, WordZone], QueryWord] = {}
    for text, zone in items:
        for word in _longest_first(find_words(search_form(text))):
            stem = stems.stem_of(word)
            is_sign = len(word) == 1 and is_unspaced(word)
            clue = Clue(word, Anchor.ANYWHERE) if is_sign else clue_of_stem(stem)
            found.setdefault((stem, zone), QueryWord(clue, stem, zone, stems))
    return tuple(found.values())[:MAX_WORDS]


def _longest_first(words: Iterable[str]) -> list[str]:
    return sorted(words, key=lambda word: (-len(word), word))


def _fits(one: QueryWord, key: bytes) -> bool:
    letters, word = one.clue.letters, word_of(key)
    match one.clue.place:
        case Anchor.BEGIN:
            is_near = word.startswith(letters)
        case Anchor.ANYWHERE:
            is_near = letters in word
        case _:
            is_near = word == letters
    return mark_of_key(key) == one.zone.value and is_near and one.accepts(key)


def _has_phrase(view: MessageView, root: Part, data: Data, phrase: Phrase) -> bool:
    subject = search_form(view.subject)
    people = {
        WordZone.SENDER: view.senders,
        WordZone.RECIPIENT: (*view.to, *view.cc),
    }
    match phrase.zone:
        case WordZone.SUBJECT:
            return phrase.text in subject
        case WordZone.SENDER | WordZone.RECIPIENT as zone:
            return any(
                phrase.text in search_form(f"{one.written_name} <{one.address}>")
                for one in people[zone]
            )
    texts = (text for text, _ in body_texts(root, data, _MAX_TEXT))
    return phrase.text in subject or any(phrase.text in text for text in texts)
