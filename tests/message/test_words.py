"""Words of texts and clues of terms: what holds a term has words with all its clues."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zajil.message.normal_form import search_form
from zajil.message.stems import Stems, clue_of_stem
from zajil.message.word_blocks import WordZone, find_places, key_of, open_words, read_keys
from zajil.message.word_blocks import encode_message as encode
from zajil.message.words import MAX_WORD, Anchor, Clue, find_clues, find_words

ALPHABET = "ab1Z _.-@\n" + "سلامأإةى\u064b\u0640ـ" + "中国日本のカ한국" + "éß😀ไทย"
TEXTS = st.text(st.sampled_from(ALPHABET), max_size=60) | st.text(max_size=40)
LONG = st.text(st.sampled_from("ab"), min_size=30, max_size=150)


def fits(clue: Clue, word: str) -> bool:
    match clue.place:
        case Anchor.WHOLE:
            return word == clue.letters
        case Anchor.BEGIN:
            return word.startswith(clue.letters)
        case Anchor.END:
            return word.endswith(clue.letters)
    return clue.letters in word


@given(st.data(), st.lists(TEXTS | LONG, min_size=1, max_size=3).map(" ".join))
def test_a_text_has_the_clues_of_each_piece_of_it(data: st.DataObject, text: str) -> None:
    text = search_form(text)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    words = find_words(text)
    for clue in find_clues(text[start:end]):
        assert any(fits(clue, word) for word in words)


@given(TEXTS | LONG)
@example("x" * 41)
@example("x" * 1000)
def test_no_word_is_longer_than_is_kept(text: str) -> None:
    words = find_words(search_form(text))
    assert all(0 < len(word) <= MAX_WORD for word in words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello, world-2", {"hello", "world", "2"}),
        ("a_b", {"a", "b"}),
        ("中国人", {"中国", "国人"}),
        ("abc中", {"abc", "中"}),
        ("السلام عليكم", {"السلام", "عليكم"}),
        ("😀 ...", set()),
    ],
)
def test_words(text: str, words: set[str]) -> None:
    assert find_words(search_form(text)) == words


@pytest.mark.parametrize(
    ("term", "clues"),
    [
        ("hello", [("hello", Anchor.ANYWHERE)]),
        (
            "hello big world",
            [("hello", Anchor.END), ("world", Anchor.BEGIN), ("big", Anchor.WHOLE)],
        ),
        (" hello ", [("hello", Anchor.WHOLE)]),
        ("中国人", [("中国", Anchor.WHOLE), ("国人", Anchor.WHOLE)]),
        ("中", [("中", Anchor.ANYWHERE)]),
        ("e", []),
        ("re", []),
        ("...", []),
        ("x" * 100, [("x" * 21, Anchor.ANYWHERE)]),
    ],
)
def test_clues(term: str, clues: list[tuple[str, Anchor]]) -> None:
    assert [(one.letters, one.place) for one in find_clues(term)] == clues


@given(st.sets(st.sampled_from(["abc", "bc", "ab", "c", "سلام", "لام", "b"]), min_size=1))
def test_places_of_clues_in_a_block(words: set[str]) -> None:
    keys = [key_of(word, part) for word in words for part in (WordZone.CONTENT, WordZone.SUBJECT)]
    block = encode(keys)
    assert block is not None
    assert read_keys(block.words) == sorted(keys)
    for letters in ("b", "bc", "ab", "لام"):
        for place in Anchor:
            clue = Clue(letters, place)
            found = find_places(open_words(block.words), clue, [WordZone.SUBJECT])
            wanted = {key_of(word, WordZone.SUBJECT) for word in words if fits(clue, word)}
            assert {key for _, key in found} == wanted
            assert all(sorted(keys)[at] == key for at, key in found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("meeting", "meetings"),
        ("Running", "runs"),
        ("happiness", "happy"),
        ("dying", "die"),
        ("سلام", "السَّلام"),
        ("سلام", "والسلام"),
        ("كتاب", "بالكتاب"),
        ("مهندس", "المهندسون"),
        ("مدرسة", "مدرسات"),
        ("المكتبة", "مكتبه"),
        ("Straße", "STRASSE"),
    ],
)
def test_forms_of_one_word_have_one_stem(one: str, other: str) -> None:
    stems = Stems()
    stem = stems.stem_of(search_form(one))
    assert stems.stem_of(search_form(other)) == stem
    for word in (one, other):
        assert fits(clue_of_stem(stem), search_form(word))


@pytest.mark.parametrize(("one", "other"), [("general", "gentle"), ("والد", "ولد"), ("ورد", "رد")])
def test_other_words_have_other_stems(one: str, other: str) -> None:
    stems = Stems()
    assert stems.stem_of(one) != stems.stem_of(other)


@given(st.text(st.sampled_from("abcdeginrsty"), min_size=1, max_size=12))
def test_the_clue_of_a_stem_fits_each_english_word_with_it(word: str) -> None:
    for form in (word, word + "s", word + "ing", word + "ed", word + "ly", word + "ies"):
        assert fits(clue_of_stem(Stems().stem_of(form)), form)


@given(st.text(st.sampled_from("البفكوهنيتسم"), min_size=1, max_size=10))
def test_the_clue_of_a_stem_fits_each_arabic_word_with_it(word: str) -> None:
    stem = Stems().stem_of(word)
    assert stem
    assert fits(clue_of_stem(stem), word)
