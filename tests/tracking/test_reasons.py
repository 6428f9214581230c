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
from zajil.tracking.reason_reader import ReasonReader
from zajil.tracking.reasons import REASONS

SRC = Path(zajil.__file__).parent
READER = ReasonReader((*REASONS, *[signal.text for signal in SIGNALS.values()]))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("203.0.113.7 has no host name in DNS", "203.0.113.7 has no host name in DNS"),
        ("a.test has no SPF record", "a.test has no SPF record"),
        (
            "a.test authorizes 203.0.113.7 to send its mail (ip4:203.0.113.0/24 x), according "
            "to the record of b.test",
            "a.test authorizes 203.0.113.7 to send its mail (ip4:203.0.113.0/24 x), according "
            "to the record of b.test",
        ),
        ("no key was found at x._domainkey.a.test.", "No key was found at x._domainkey.a.test."),
        (
            "There is no key for the seal of ARC set 2: the key was revoked.",
            "There is no key for the seal of ARC set 2: The key was revoked.",
        ),
        (
            "The signature of a.test is valid. The key was revoked.",
            "The signature of a.test is valid. The key was revoked.",
        ),
        (
            "SPF confirmed that the message is from a.test. The message has no Date field.",
            "SPF confirmed that the message is from a.test. The message has no Date field.",
        ),
        ("1 delivered, 2 deferred", "1 delivered 2 deferred"),
        ("TLSv1.3 AES_256, certificate verified", "TLSv1.3 AES_256, certificate verified"),
        ("TXT a.test -> no such name", "TXT a.test -> no such name"),
        ("peer closed", "peer closed"),
        (
            "The message is from زاجل.test (xn--mgbkq8e.test), which resembles a.test.",
            "The message is from زاجل.test (xn--mgbkq8e.test), which resembles a.test.",
        ),
        (
            "a.test does not authorize 192.0.2.1 to send its mail (-all)",
            "a.test does not authorize 192.0.2.1 to send its mail (-all)",
        ),
        (
            "a.test does not state whether 192.0.2.1 may send its mail, according to the "
            "record of b.test",
            "a.test does not state whether 192.0.2.1 may send its mail, according to the "
            "record of b.test",
        ),
        ("The signature has a tag without a value.", "the signature has a tag without a value"),
        ("The key record has invalid base64 in p=.", "the key record has invalid base64 in p="),
        ("The ARC-Seal field has the tag cv= twice.", "The ARC-Seal field has the tag cv= twice"),
        ("In ARC set 2, the seal has too many tags.", "In ARC set 2, the seal has too many tags."),
        (
            "The signature of a.test does not match: the header section and the body "
            "were changed, or another key was used.",
            "The signature of a.test does not match: the header section and the body "
            "were changed, or another key was used.",
        ),
        ("The seal of ARC set 1 has expired.", "the seal of ARC set 1 has expired."),
        (
            "Neither SPF nor DKIM confirmed that the message is from a.test; the "
            "policy of b.test is to reject it.",
            "Neither SPF nor DKIM confirmed that the message is from a.test; the "
            "policy of b.test is to reject it.",
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
        "deliver/relay_login.py",
        "deliver/attempt.py",
        "deliver/client_channel.py",
    ),
    *("deliver/security.py", "deliver/result_writer.py", "deliver/local.py", "accept/filing.py"),
    *("route/next_hop.py", "accept/plan.py", "accept/complete.py"),
]
NO_REASONS = {
    # Details in a TLS report to the other domain:
    *("no TLSA record matches", "refused with x", "no answer after the handshake"),
    *("dns lists", "spf helo", "not scanned", "no time left", "spf", "overridden by local policy"),
    *(
        "DNS list passed its test and is used again",
        "DNS list failed its test and is not used",
        "no name",
    ),
    *("cannot notify a sender; will retry", "cannot write a DSN", "internal error"),
    *("cannot settle a mail; it may be sent twice", "cannot store the delivery results of a mail"),
    *(
        "a lease was lost",
        "the store does not respond",
        "invalid reply: more answers than questions",
    ),
    *(", but some lists did not respond", ", according to the record of x"),
    *("the policy of {} is none", "the policy of {} is to quarantine it", "and the body were"),
    *("the policy of {} is to reject it", "a final dot", "not verified", "address literal x"),
    "confirmed by DANE",
    "check failed (x): x",  # the summary of a traceback
    "a line or a header field has to be encoded, and the message is too large",  # a reply
}
PUT_TOGETHER = {
    *("x authorizes x to send its mail (x)x", "x does not authorize x to send its mail (x)x"),
    *("x probably does not authorize x to send its mail (x)x", "the signature x", "the seal x"),
    *("x does not state whether x may send its mail (x)x", "the ARC message signature x"),
    *("The x field x.", "DNS lookup of x failedx"),
    *("x does not state whether x may send its mailx", "invalid DNS name", "the key record x"),
    "The signature of x does not match: the header section x changed, or another key was used.",
    *("xx has expired.", "There is no key for x: x.", "x x", "x x, certificate x", "x x [x]"),
    "Too many body lengths are signed to verify x.",
    "Neither SPF nor DKIM confirmed that the message is from x; x.",
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
    candidates = (text, f"the signature {text}", f"There is no key for x: {text}")
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
    for piece in (
        *(" has a tag with an invalid name", ", according to the record of a", " -> no"),
        *(". It has no", "There is no key for a: "),
        "The message is from a, but replies go to b, ",
    ):
        READER.read((piece * 2000)[:2000])
