"""Mails as people get them, honest and hostile, judged by an installation that learned nothing.

They lie in ``tests/corpus/odd``; nobody wrote or received them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kit.facts import make_facts
from zajil.check.content.lookalike import skeleton
from zajil.check.content.phishing import Protected
from zajil.check.content.run import look_inside, view_of
from zajil.check.verdict.verdict import Action, Thresholds, Verdict, decide
from zajil.web.language import load_languages

FOLDER = Path(__file__).parent.parent / "corpus" / "odd"
HAM = sorted(FOLDER.glob("ham-*.eml"))
OURS = Protected(["north.test"], {skeleton("Amal Nasser")}.__contains__)
UNSURE = 2.5
"""Half of what makes a mail junk: an honest one has no more against it."""

HOSTILE = {
    "phishing-ar-bank": {"phish.lookalike-author", "phish.link-names-other", "phish.address-link"},
    "phishing-ar-mailbox": {"phish.name-of-ours", "phish.lookalike-link", "phish.lure"},
    "phishing-ar-parcel": {"phish.lookalike-author", "phish.lookalike-link"},
    "phishing-en-brand-name": {"phish.brand-name", "phish.lure"},
    "phishing-en-digit-for-letter": {"phish.lookalike-author", "phish.reply-to-free-mail"},
    "phishing-en-director": {"phish.name-of-ours", "phish.lure"},
    "phishing-en-false-letters": {"phish.lookalike-author", "phish.lookalike-link"},
    "phishing-en-hidden-text": {"phish.lookalike-author", "structure.hidden-text"},
    "phishing-en-html-attachment": {"attach.html-password", "attach.double-ending"},
    "phishing-en-link-elsewhere": {"phish.name-shows-address", "phish.link-names-other"},
    "phishing-en-mailbox-full": {"phish.name-of-ours", "phish.lookalike-link"},
    "phishing-en-password-form": {"phish.password-form"},
    "phishing-en-userinfo": {"phish.user-in-link"},
    "phishing-ar-messenger": {"phish.brand-name", "phish.lure"},
    "phishing-ar-tax": {"phish.link-names-other", "phish.address-link"},
    "phishing-en-digit-for-i": {"phish.lookalike-author", "phish.lure"},
    "phishing-en-helpdesk": {"phish.lookalike-author", "phish.lookalike-link"},
    "phishing-en-parcel": {"phish.brand-name", "phish.lure"},
    "phishing-en-password-expires": {"phish.brand-name", "phish.lure"},
    "phishing-en-shared-file": {"phish.brand-name", "phish.lure"},
    "phishing-en-voicemail": {"attach.double-ending", "attach.html-script"},
    "spam-en-disk-image": {"attach.disk-image"},
    "spam-en-archived-program": {"attach.archived-program"},
    "spam-en-turned-name": {"attach.direction-control", "attach.program"},
}


def judge(path: Path) -> Verdict:
    facts = make_facts(path.read_bytes().replace(b"\n", b"\r\n"))
    facts = replace(facts, smtputf8=True)
    return decide(look_inside(view_of(facts), facts, OURS), Thresholds())


@pytest.mark.parametrize("path", HAM, ids=lambda path: path.stem)
def test_honest_mail_is_not_suspected(path: Path) -> None:
    """Design D12: a mail without a bad signal lies in INBOX."""
    verdict = judge(path)
    assert verdict.action is Action.ACCEPT
    if path.stem != "ham-en-private-address":  # the author's name is that of somebody here
        assert verdict.score <= UNSURE


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_junk_for_good_reasons(name: str) -> None:
    verdict = judge(FOLDER / f"{name}.eml")
    assert verdict.action is Action.JUNK
    found = {reason.signal for reason in verdict.reasons}
    assert found >= HOSTILE[name]
    weights = [abs(reason.weight) for reason in verdict.reasons]
    assert weights == sorted(weights, reverse=True)


def test_every_hostile_sample_is_named() -> None:
    files = {path.stem for path in FOLDER.glob("*.eml") if not path.stem.startswith("ham-")}
    assert files == HOSTILE.keys()


def test_reasons_are_told_in_both_languages() -> None:
    arabic = load_languages()["ar"]
    for name in HOSTILE:
        for reason in judge(FOLDER / f"{name}.eml").reasons:
            translated = arabic.gettext(reason.template).format(**dict(reason.values))
            assert translated != reason.text
            assert "{" not in translated + reason.text
