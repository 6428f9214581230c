"""``zajil alias``: catch-alls, loops, targets that come and go."""

from __future__ import annotations

import pytest

from kit.command_line import Run, as_json


def targets_of(run: Run, address: str) -> list[str]:
    aliases = as_json(run, "alias", "list")["aliases"]
    return next(row["targets"] for row in aliases if row["address"] == address)


def test_targets_come_and_go_without_a_gap(run: Run) -> None:
    added = run("alias", "add", "team@north.test", "admin@north.test")
    assert added == (0, "added team@north.test -> admin@north.test\n", "")
    more = run("alias", "add", "Team@north.test", "x@far.test", "ADMIN@north.test")
    assert more == (0, "changed team@north.test -> admin@north.test, x@far.test\n", "")
    less = run("alias", "remove", "team@north.test", "admin@north.test")
    assert less == (0, "changed team@north.test -> x@far.test\n", "")
    status, _, err = run("alias", "remove", "team@north.test", "x@far.test")
    assert (status, err.count("would have no targets")) == (1, 1)
    assert run("alias", "remove", "team@north.test", "y@far.test")[0] == 1
    as_json(run, "alias", "set", "team@north.test", "y@far.test", "z@far.test", "Y@far.test")
    assert targets_of(run, "team@north.test") == ["y@far.test", "z@far.test"]
    assert run("alias", "set", "nobody@north.test", "y@far.test")[0] == 1
    assert run("alias", "set", "admin@north.test", "y@far.test")[0] == 1


def test_a_target_that_nobody_has_is_named(run: Run) -> None:
    """It is taken, because the account may come later, but a mistyped name is seen at once."""
    added = run("alias", "add", "info@north.test", "admin@north.test", "amdin@north.test")
    assert added[::2] == (0, "warning: there is no address amdin@north.test yet\n")
    for known in ("admin+x@north.test", "abuse@north.test", "amdin@far.test", "info2@north.test"):
        run("alias", "add", "info2@north.test", "admin@north.test")
        assert run("alias", "add", "team@north.test", known)[2] == ""
    err = run("account", "forward", "admin", "--to", "x@north.test")[2]
    assert "there is no address x@north.test" in err


def test_an_account_is_no_alias(run: Run) -> None:
    status, out, err = run("alias", "add", "Admin@north.test", "x@far.test")
    assert (status, out) == (1, "")
    assert err.startswith("zajil: Admin@north.test is an account; use `zajil account forward`")


def test_a_catch_all(run: Run) -> None:
    run("domain", "add", "زاجل.test")
    assert run("alias", "add", "*@زاجل.test", "admin@north.test")[0] == 0
    assert targets_of(run, "*@زاجل.test") == ["admin@north.test"]
    shown = as_json(run, "account", "show", "admin")
    assert "*@زاجل.test" in shown["aliases"]
    assert run("account", "delegate", "*@زاجل.test", "--to", "admin")[0] == 1
    assert run("domain", "remove", "زاجل.test")[0] == 1
    assert run("alias", "remove", "*@زاجل.test")[0] == 0
    assert run("domain", "remove", "زاجل.test")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["alias", "add", "@north.test", "a@far.test"], "as *@north.test"),
        (
            ["alias", "add", "sales*@north.test", "a@far.test"],
            "* must be the whole local part, as in the catch-all *@north.test",
        ),
        (["alias", "add", "*+x@north.test", "a@far.test"], "* must be the whole local part"),
        (["alias", "add", "a@north.test", "*@north.test"], "a target is one address"),
        (["alias", "add", "a@north.test", "*@far.test"], "a target is one address"),
        (["alias", "set", "postmaster@north.test", "*@far.test"], "a target is one address"),
        (["account", "add", "*@north.test", "--login", "star"], "is a catch-all, which is an al"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_star_that_means_nothing_is_refused(
    run: Run, arguments: list[str], sentence: str
) -> None:
    status, out, err = run(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


@pytest.mark.parametrize(
    ("before", "last", "loop"),
    [
        ([], ["a", "a"], "a@north.test -> a@north.test"),
        ([], ["a", "a+x"], "a@north.test -> a+x@north.test (that is a@north.test)"),
        ([["b", "a"]], ["a", "admin", "b"], "a@north.test -> b@north.test -> a@north.test"),
        (
            [["c", "a"], ["b", "admin", "c"]],
            ["a", "x@far.test", "b"],
            "a@north.test -> b@north.test -> c@north.test -> a@north.test",
        ),
        (
            [["a", "admin"], ["*", "a"]],
            ["a", "who"],
            "a@north.test -> who@north.test -> a@north.test",
        ),
        ([["a", "who"]], ["*", "a"], "*@north.test -> a@north.test -> who@north.test (that is *@"),
        ([], ["*", "who"], "*@north.test -> who@north.test (that is *@north.test)"),
    ],
    ids=lambda value: str(value),
)
def test_a_loop_is_refused_and_named(
    run: Run, before: list[list[str]], last: list[str], loop: str
) -> None:
    def full(names: list[str]) -> list[str]:
        return [name if "@" in name else f"{name}@north.test" for name in names]

    for one in before:
        assert run("alias", "add", *full(one))[0] == 0
    listed = run("alias", "list")
    status, out, err = run("alias", "add", *full(last))
    assert (status, out) == (1, "")
    assert err.startswith(f"zajil: this would be a loop: {loop}")
    assert run("alias", "list") == listed  # nothing was changed


def test_a_loop_that_a_change_or_a_removal_would_make_is_refused(run: Run) -> None:
    run("alias", "add", "a@north.test", "b@north.test")
    run("alias", "add", "b@north.test", "admin@north.test")
    run("alias", "add", "*@north.test", "a@north.test")
    for change in (
        ["alias", "add", "b@north.test", "a@north.test"],
        ["alias", "set", "b@north.test", "a@north.test"],
        ["alias", "remove", "b@north.test"],  # its mail would go to the catch-all, and so to a
    ):
        status, _, err = run(*change)
        assert (status, "this would be a loop" in err) == (1, True), change
    assert targets_of(run, "b@north.test") == ["admin@north.test"]


def test_what_only_looks_like_a_loop_is_taken(run: Run) -> None:
    """Two ways to one account, and a role that the first admin has without an alias."""
    run("alias", "add", "a@north.test", "b@north.test", "c@north.test")
    run("alias", "add", "b@north.test", "d@north.test")
    run("alias", "add", "c@north.test", "d@north.test")
    assert run("alias", "add", "d@north.test", "admin@north.test")[0] == 0
    run("alias", "remove", "abuse@north.test")
    run("alias", "add", "*@north.test", "a@north.test")
    assert run("alias", "add", "e@north.test", "abuse@north.test")[0] == 0
