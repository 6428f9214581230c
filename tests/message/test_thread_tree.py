"""THREAD=REFERENCES and ORDEREDSUBJECT, step by step. (RFC 5256 section 3)"""

from __future__ import annotations

import pytest

from zajil.message.thread_tree import (
    ThreadedMessage,
    normal_id,
    thread_by_references,
    thread_by_subject,
    write_threads,
)


def made(*lines: str) -> list[ThreadedMessage]:
    """Return messages of ``id > parent parent | subject``, each sent after the one before."""
    messages = []
    for number, line in enumerate(lines, 1):
        ids, _, subject = line.partition("|")
        own, _, parents = ids.partition(">")
        subject = subject.strip()
        is_reply = subject.startswith("Re:")
        messages.append(
            ThreadedMessage(
                number,
                own.strip(),
                tuple(parents.split()),
                subject.removeprefix("Re:").strip(),
                is_reply,
                1000 * number,
            )
        )
    return messages


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        ((), ""),
        (("a", "b > a", "c > a b", "d > a"), "(1 (2 3)(4))"),
        (("c > a b", "b > a", "a"), "(3 2 1)"),  # the parents come later
        (("b > x", "c > x"), "((1)(2))"),  # nobody has their parent
        (("b > x", "c > x y"), "((1)(2))"),
        (("b > x",), "(1)"),
        (  # as RFC 5256 section 4 prints it
            ("r", "a", "b > a", "c > a b", "d > a b c", "e > a b", "f > a b e", "g > a b e f"),
            "(1)(2 3 (4 5)(6 7 8))",
        ),
        (("a > b", "b > a"), "(2 1)"),  # a loop
        (("a > a",), "(1)"),
        (("a", "a", "b > a"), "(1 3)(2)"),  # the same id twice
        (("c > a b", "b > z"), "(2 1)"),  # what b itself says counts
        # What b says counts also where it names nobody, or itself.
        (("c > a b", "a", "b"), "(2)(3 1)"),
        (("b > a b", "a"), "(1)(2)"),
        (("c > a b d", "d", "b > d", "a"), "(2 (1)(3))(4)"),
        (("|x", "|Re: x", "|Re: x"), "(1 (2)(3))"),
        (("|Re: x", "|x"), "(2 1)"),
        (("|x", "|x", "|x"), "((1)(2)(3))"),  # neither answers the other
        (("a > p | Re: x", "b > p | Re: x", "| x"), "((1)(2)(3))"),
        (("a > p | x", "b > p | x", "c > q | x", "d > q | x"), "((1)(2)(3)(4))"),
        (("|", "|"), "(1)(2)"),  # no subject says nothing
    ],
)
def test_references(lines: tuple[str, ...], want: str) -> None:
    assert write_threads(thread_by_references(made(*lines))) == want


def test_ordered_subject() -> None:
    messages = made("|x", "|y", "|Re: x", "|Re: y", "|x")
    assert write_threads(thread_by_subject(messages)) == "(1 (3)(5))(2 4)"


def test_siblings_are_sorted_by_date() -> None:
    early = ThreadedMessage(9, "e", ("a",), "", False, 5)
    roots = thread_by_references([*made("a", "b > a"), early])
    assert write_threads(roots) == "(1 (9)(2))"


def test_a_thread_of_very_many_messages() -> None:
    """Nothing recurses, and hostile references take no time that grows with the square."""
    count = 20_000
    chain = [f"m{n} > m{n - 1}" for n in range(count)]
    assert write_threads(thread_by_references(made(*chain))).count(" ") == count - 1
    written = write_threads(thread_by_references(made(*reversed(chain))))
    assert len(written.split()) + written.count(")(") >= count


@pytest.mark.parametrize(
    ("text", "want"), [("<a@b>", "<a@b>"), ('<"a"@b>', "<a@b>"), ("<a>", ""), ("", "")]
)
def test_ids_are_compared_without_needless_quotes(text: str, want: str) -> None:
    assert normal_id(text) == want
