"""Why a mail was judged as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kit.store import NOW_MS, make_account, make_intake
from zajil.check.step import verdict_event
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Thresholds, decide
from zajil.operations.explain import NotJudged, explain_mail, explanation_to_dict
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.web.language import load_languages

THRESHOLDS = Thresholds()


def test_a_stored_verdict_is_explained_in_both_languages(store: Store) -> None:
    salma = make_account(store, "سلمى@زاجل.test", "salma")
    reasons = [
        make_reason("format.repeated-from"),
        make_reason("format.repeated-field", count=3, field="Subject"),
    ]
    everybody = decide(reasons[1:], THRESHOLDS)
    own = decide(reasons, THRESHOLDS)
    item = make_intake(store.blobs.stage([b"x"]), local=[salma])
    events = (
        verdict_event(NOW_MS, own, "سلمى@زاجل.test"),
        verdict_event(NOW_MS, everybody),
    )
    store.write_now(write_intakes, replace(item, events=events))

    told = store.read_now(lambda conn: explain_mail(conn, item.mail_id, THRESHOLDS))
    # Everybody's counts for nobody here, so it comes last.
    assert [one.recipient for one in told] == ["سلمى@زاجل.test", None]
    assert explanation_to_dict(told[0], lambda text: text) == {
        "verdict": "junk",
        "score": 6.5,
        "reasons": [
            {
                "signal": "format.repeated-from",
                "weight": 5.0,
                "text": "The message has more than one From field.",
            },
            {
                "signal": "format.repeated-field",
                "weight": 1.5,
                "text": "The message has 3 Subject fields; only one is allowed.",
            },
        ],
        "recipient": "سلمى@زاجل.test",
        "changes": [
            {
                "without": "format.repeated-from",
                "more": 0.0,
                "verdict": "accept",
                "text": "Without format.repeated-from the message would have been accepted.",
            },
        ],
    }
    arabic = explanation_to_dict(told[1], load_languages()["ar"].gettext)
    assert "Subject" in arabic["reasons"][0]["text"]
    assert "fields" not in arabic["reasons"][0]["text"]


def test_our_own_mail_has_no_verdict(store: Store) -> None:
    item = make_intake(store.blobs.stage([b"x"]), remote=["noor@south.test"])
    store.write_now(write_intakes, item)
    with pytest.raises(NotJudged):
        store.read_now(lambda conn: explain_mail(conn, item.mail_id, THRESHOLDS))
