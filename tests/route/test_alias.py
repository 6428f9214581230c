from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kit.address_book import AMAL, SALMA, SAMI, SLEEPER, Book, address
from zajil.core.address import Address
from zajil.core.directory import AccountEntry, AliasEntry
from zajil.core.ids import AccountId
from zajil.route.alias import MAX_TARGETS, Expansion, expand_alias
from zajil.route.recipient import Local, Suspended


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


# ---- accounts that forward -------------------------------------------------------------------


def forwarding(entry: AccountEntry, *targets: str, keep: bool = False) -> AccountEntry:
    return replace(entry, forward_to=tuple(map(address, targets)), keeps_copy=keep)


def route(who: str, *accounts: AccountEntry, **aliases: Sequence[str]) -> Local:
    named = {f"{name}@north.test": targets for name, targets in aliases.items()}
    found = Book(accounts, named).route(f"{who}@north.test")
    assert isinstance(found, Local)
    return found


def test_a_forwarding_account_keeps_a_copy_or_not() -> None:
    kept = forwarding(AMAL, "x@far.test", "sami@north.test", keep=True)
    found = route("amal", kept, SAMI)
    assert found == Local((kept, SAMI), (address("x@far.test"),), (AMAL.address,), True)
    sent_on = forwarding(AMAL, "x@far.test", "sami@north.test")
    found = route("amal+shop", sent_on, SAMI)
    assert found == Local((SAMI,), (address("x@far.test"),), (AMAL.address,), True)


def test_forwarding_is_followed_through_aliases_and_other_accounts() -> None:
    amal = forwarding(AMAL, "team@north.test")
    sami = forwarding(SAMI, "x@far.test", keep=True)
    found = route("info", amal, sami, info=["amal@north.test"], team=["sami@north.test"])
    assert (found.entries, found.remote) == ((sami,), (address("x@far.test"),))
    names = ["info@north.test", "amal@north.test", "team@north.test", "sami@north.test"]
    assert found.via == tuple(map(address, names))


def test_a_forwarding_that_leads_nowhere_loses_no_mail() -> None:
    amal = forwarding(AMAL, "nobody@north.test")
    assert route("amal", amal).entries == (amal,)
    again = route("amal", forwarding(AMAL, "team@north.test"), team=["amal@north.test"])
    assert len(again.entries) == 1
    both = route("all", amal, SAMI, all=["sami@north.test", "amal@north.test"])
    assert both.entries == (SAMI, amal)


def test_a_forwarding_in_a_circle_loses_no_mail() -> None:
    """It is refused when it is made; here two servers, or a restored database, made one."""
    amal, sami = forwarding(AMAL, "sami@north.test"), forwarding(SAMI, "amal+x@north.test")
    assert len(route("amal", amal, sami).entries) == 1
    itself = forwarding(AMAL, "amal@north.test")
    assert route("amal", itself).entries == (itself,)


def test_two_who_forward_to_one_address_make_one_copy_there() -> None:
    amal, sami = forwarding(AMAL, "x@far.test"), forwarding(SAMI, "X@far.test")
    found = route("all", amal, sami, all=["amal@north.test", "sami@north.test"])
    assert (found.entries, found.remote) == ((), (address("x@far.test"),))
    named = route("all", amal, all=["x@far.test", "amal@north.test"])
    assert (named.entries, named.remote) == ((), (address("x@far.test"),))


def test_the_postmaster_may_forward_too() -> None:
    boss = forwarding(AMAL, "x@far.test")
    book = Book([boss], {})
    for who in (Address("Postmaster", ""), "abuse@north.test", "amal@north.test"):
        found = book.route(who, postmaster=boss)
        assert found == Local((), (address("x@far.test"),), (AMAL.address,), True)


def test_a_suspended_account_forwards_nothing() -> None:
    asleep = forwarding(SLEEPER, "x@far.test")
    direct = Book([asleep], {}).route("sleeper@north.test")
    assert direct == Suspended(asleep.address, asleep)
    assert route("all", asleep, all=["sleeper@north.test"]).entries == (asleep,)


@given(
    st.dictionaries(
        st.sampled_from("abcde"), st.lists(st.sampled_from("abcdex"), max_size=4), min_size=1
    ),
    st.sets(st.sampled_from("abcde")),
)
def test_no_mail_to_a_forwarding_account_is_lost(
    tangle: dict[str, list[str]], keepers: set[str]
) -> None:
    accounts = [
        forwarding(
            replace(AMAL, account_id=AccountId(number), address=address(f"{name}@north.test")),
            *(f"{target}@north.test" for target in targets),
            keep=name in keepers,
        )
        for number, (name, targets) in enumerate(tangle.items())
    ]
    found = route(next(iter(tangle)), *accounts)
    assert found.entries
    assert len({one.account_id for one in found.entries}) == len(found.entries)
