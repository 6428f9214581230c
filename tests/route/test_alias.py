from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from zajil.core.directory import AliasEntry
from zajil.route.alias import MAX_TARGETS, Expansion, expand_alias
from zajil.testing.address_book import AMAL, SALMA, SLEEPER, Book, address


def expand(aliases: Mapping[str, Sequence[str]], name: str) -> tuple[Expansion, Book]:
    book = Book([AMAL, SALMA, SLEEPER], aliases)
    alias = book.entries[address(name).key]
    assert isinstance(alias, AliasEntry)
    return book.run(expand_alias(alias)), book


def test_aliases_of_aliases_are_followed_in_order() -> None:
    found, _ = expand(
        {
            "all@north.test": ["team@north.test", "last@far.test"],
            "team@north.test": ["amal@north.test", "first@far.test"],
        },
        "all@north.test",
    )
    assert found.entries == [AMAL]
    assert found.remote == [address("first@far.test"), address("last@far.test")]
    assert found.via == [address("all@north.test"), address("team@north.test")]


def test_loops_stop_and_what_is_beside_them_is_found() -> None:
    """Attacks O: forwarding loops."""
    found, _ = expand(
        {
            "a@north.test": ["b@north.test", "a@north.test"],
            "b@north.test": ["a@north.test", "amal@north.test"],
        },
        "a@north.test",
    )
    assert found.entries == [AMAL]
    assert found.via == [address("a@north.test"), address("b@north.test")]


def test_loops_through_subaddresses_stop() -> None:
    found, book = expand({"a@north.test": ["a+1@north.test", "a+2@north.test"]}, "a@north.test")
    assert not found.entries
    assert len(book.asked) <= 4


def test_one_account_gets_one_copy() -> None:
    found, _ = expand(
        {
            "a@north.test": [
                "سلمى@زاجل.test",
                "salma@north.test",
                "amal+x@north.test",
                "amal@north.test",
            ]
        },
        "a@north.test",
    )
    assert found.entries == [SALMA, AMAL]


def test_a_target_that_nobody_has_is_remembered() -> None:
    found, _ = expand({"a@north.test": ["nobody@north.test"]}, "a@north.test")
    assert found.nowhere == [address("nobody@north.test")]


def test_a_suspended_account_keeps_its_copy() -> None:
    found, _ = expand({"a@north.test": ["sleeper@north.test"]}, "a@north.test")
    assert found.entries == [SLEEPER]


def test_explosive_aliases_are_cut() -> None:
    """Attacks O: amplification."""
    wide = [f"u{number}@far.test" for number in range(MAX_TARGETS * 3)]
    found, book = expand({"a@north.test": wide}, "a@north.test")
    assert len(found.remote) <= MAX_TARGETS
    assert len(book.asked) <= MAX_TARGETS


@given(
    st.dictionaries(
        st.sampled_from("abcde"), st.lists(st.sampled_from("abcdexy"), max_size=5), min_size=1
    )
)
def test_any_tangle_of_aliases_ends(tangle: dict[str, list[str]]) -> None:
    aliases = {
        f"{name}@north.test": [f"{target}@north.test" for target in targets]
        for name, targets in tangle.items()
    }
    first = next(iter(aliases))
    found, book = expand(aliases, first)
    assert len({one.key for one in book.asked}) <= 8
    assert len(set(found.via)) == len(found.via)
