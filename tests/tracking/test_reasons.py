"""Every reason that an event holds can be told in every language."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zajil
from zajil.check.verdict.signals import SIGNALS
from zajil.tracking.reasons import REASONS, ReasonReader

SRC = Path(zajil.__file__).parent
READER = ReasonReader((*REASONS, *[signal.text for signal in SIGNALS.values()]))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("203.0.113.7 has no name in DNS", "203.0.113.7 has no name in DNS"),
        ("a.test has no SPF record", "a.test has no SPF record"),
        (
            "203.0.113.7 may send mail for a.test (ip4:203.0.113.0/24 x), by the record of b.test",
            "203.0.113.7 may send mail for a.test (ip4:203.0.113.0/24 x), by the record of b.test",
        ),
        ("there is no key at x._domainkey.a.test.", "There is no key at x._domainkey.a.test."),
        (
            "No key for the seal of ARC set 2: the key was revoked.",
            "No key for the seal of ARC set 2: The key was revoked.",
        ),
        (
            "a.test signed this message, and it was not changed. The key was revoked.",
            "a.test signed this message, and it was not changed. The key was revoked.",
        ),
        (
            "SPF proved that it comes from a.test. It has no Date.",
            "SPF proved that it comes from a.test. It has no Date.",
        ),
        ("1 delivered, 2 deferred", "1 delivered 2 deferred"),
        ("TLSv1.3 AES_256, certificate verified", "TLSv1.3 AES_256, certificate verified"),
        ("TXT a.test -> no such name", "TXT a.test -> no such name"),
        ("peer closed", "peer closed"),
        (
            "It comes from زاجل.test (xn--mgbkq8e.test), which is made to look like a.test.",
            "It comes from زاجل.test (xn--mgbkq8e.test), which is made to look like a.test.",
        ),
        (
            "192.0.2.1 is not among the servers a.test sends from (-all)",
            "192.0.2.1 is not among the servers a.test sends from (-all)",
        ),
        (
            "a.test does not say whether 192.0.2.1 may send for it, by the record of b.test",
            "a.test does not say whether 192.0.2.1 may send for it, by the record of b.test",
        ),
        ("The signature has a tag without a value.", "the signature has a tag without a value"),
        ("The key record has no base64 in p=.", "the key record has no base64 in p="),
        ("Its ARC-Seal has the tag cv= twice.", "Its ARC-Seal has the tag cv= twice"),
        ("In ARC set 2, the seal has too many tags.", "In ARC set 2, the seal has too many tags."),
        (
            "The header section was changed after a.test signed it, and the body too, or the "
            "signature is not by this key.",
            "The header section was changed after a.test signed it, "
            "and the body too, or the signature is not by this key.",
        ),
        ("The seal of ARC set 1 has expired.", "the seal of ARC set 1 has expired."),
        (
            "Neither SPF nor DKIM proved that it comes from a.test, and b.test asks to refuse such "
            "mail.",
            "Neither SPF nor DKIM proved that it comes from a.test, and b.test asks to "
            "refuse such mail.",
        ),
        ("added Date, removed Bcc", "added Date removed Bcc"),
    ],
)
def test_reasons_are_found_again(reason: str, told: str) -> None:
    assert " ".join(sentence.plain() for sentence in READER.read(reason)) == told


@pytest.mark.parametrize(
    "text",
    [
        "",
        "550 5.1.1 no such user",
        "C: EHLO a.test",
        "MX a.test -> 10 b.test (ttl 300)",
        "x" * 9999,
    ],
)
def test_what_others_say_stays_as_it_is(text: str) -> None:
    assert READER.read(text) == ()


# Whose texts become reasons of an event; and those of their texts that do not.
MODULES = [
    *("mailauth/spf.py", "mailauth/spf_record.py", "mailauth/spf_questions.py"),
    *("mailauth/dkim_key.py", "mailauth/dkim_signature.py", "mailauth/dkim_verify.py"),
    *("mailauth/dkim_body.py", "mailauth/arc.py", "mailauth/arc_set.py", "mailauth/dmarc.py"),
    *(
        "mailauth/tag_list.py",
        "check/sender/peer.py",
        "check/sender/dns_lists.py",
        "check/sender/findings.py",
    ),
    *(
        "check/sender/sender.py",
        "check/scanners/clamd.py",
        "check/scanners/rspamd.py",
        "check/scanners/run.py",
    ),
    *(
        "check/step.py",
        "deliver/attempt_result.py",
        "deliver/attempt.py",
        "deliver/client_channel.py",
    ),
    *("deliver/security.py", "deliver/result_writer.py", "deliver/local.py", "accept/filing.py"),
    *("route/next_hop.py", "accept/plan.py", "accept/complete.py"),
]
NO_REASONS = {
    *("dns lists", "spf helo", "not scanned", "no time left", "spf", "overridden by local policy"),
    *("DNS list works again", "DNS list does not count until it works", "no name"),
    *("cannot tell a sender; it is tried again", "cannot write a DSN", "internal error"),
    *("cannot settle a mail; it may be sent twice", "cannot settle a mail as a whole"),
    *("a lease was lost", "the store does not answer", "bad reply: more answers than questions"),
    *(", and not all of them answered", ", by the record of x", ", and the body too"),
    *("and {} asks for nothing in that case", "and {} asks to treat such mail as suspicious"),
    *("and {} asks to refuse such mail", "a final dot", "not verified", "address literal x"),
    "check failed (x): x",  # the summary of a traceback
    "a line or a header field has to be encoded, and the message is too large",  # a reply
}
PUT_TOGETHER = {
    *("x may send mail for x (x)x", "x is not among the servers x sends from (x)x"),
    *("x is probably not among the servers x sends from (x)x", "the signature x", "the seal x"),
    *("x does not say whether x may send for it (x)x", "the ARC message signature x", "Its x x."),
    *("x does not say whether x may send for itx", "not a name DNS can hold", "the key record x"),
    "the header section was changed after x signed itx, or the signature is not by this key.",
    *("xx has expired.", "No key for x: x.", "x x", "x x, certificate x", "x x [x]"),
    "Too many parts of the body are signed to check x.",
    "Neither SPF nor DKIM proved that it comes from x, x.",
    "-- x; connecting again",
}
"""Texts whose places hold other texts; tried above with those in them, or nothing but data."""


def texts(module: str) -> Iterator[str]:
    tree = ast.parse((SRC / module).read_text())
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    } | {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            yield "".join(
                str(one.value) if isinstance(one, ast.Constant) else "x" for one in node.values
            )
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in docstrings
            and node not in parts
        ):
            yield node.value


def is_told(text: str) -> bool:
    candidates = (text, f"the signature {text}", f"No key for x: {text}")
    return any(READER.read(one) for one in candidates)


def test_every_reason_has_its_pattern() -> None:
    """A new one without a pattern would stand in English on an Arabic page."""
    sentences = {
        (module, text)
        for module in MODULES
        for text in texts(module)
        if len([word for word in text.split() if word.isalpha() and word.isascii()]) >= 2
    }
    assert len(sentences) > 100
    missing = {
        one for one in sentences if one[1] not in NO_REASONS | PUT_TOGETHER and not is_told(one[1])
    }
    assert missing == set()


@given(st.text(alphabet="ab .,:;(){}x-> ", max_size=300))
def test_no_text_makes_it_raise(text: str) -> None:
    READER.read(text)


def test_a_hostile_text_is_read_soon() -> None:
    """Security: values come from strangers, in a text that is made to be tried again and again."""
    for piece in (" has a tag whose name is none", ", by the record of a", " -> no", ". It has no",
                  "No key for a: ", "It comes from a, but answers would go to b, "):  # fmt: skip
        READER.read((piece * 2000)[:2000])
