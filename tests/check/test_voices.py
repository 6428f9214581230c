"""How deeds of accounts become voices: the rule alone, without a store."""

from __future__ import annotations

from zajil.check.learned.voices import count_deed
from zajil.store.feedback.reputation import Did, HistoryRow


def test_an_account_has_one_voice_however_busy_it_is() -> None:
    own, everybody = HistoryRow(at_ms=0), HistoryRow(at_ms=0)
    for _ in range(50):
        count_deed(own, everybody, Did.JUNKED)
    assert (own.junked, own.junked_voice, everybody.junked) == (50.0, 1.0, 1.0)


def test_a_faded_count_gets_its_voice_back() -> None:
    own, everybody = HistoryRow(at_ms=0, seen=0.25, seen_voice=0.25), HistoryRow(at_ms=0, seen=2.25)
    count_deed(own, everybody, Did.SEEN)
    assert (own.seen, own.seen_voice, everybody.seen) == (1.25, 1.0, 3.0)


def test_a_move_back_takes_the_voice_back_and_counts_never_go_below_zero() -> None:
    own, everybody = HistoryRow(at_ms=0), HistoryRow(at_ms=0)
    count_deed(own, everybody, Did.JUNKED)
    count_deed(own, everybody, Did.KEPT)
    assert (own.junked, everybody.junked) == (0.0, 0.0)
    assert (own.kept, everybody.kept) == (1.0, 1.0)
    count_deed(own, everybody, Did.KEPT)
    assert (own.junked, everybody.junked, everybody.kept) == (0.0, 0.0, 1.0)


def test_an_undo_takes_back_what_the_deed_added() -> None:
    own, everybody = HistoryRow(at_ms=0), HistoryRow(at_ms=0)
    for did, undo in ((Did.JUNKED, Did.UNJUNKED), (Did.KEPT, Did.UNKEPT)):
        count_deed(own, everybody, did)
        assert everybody != HistoryRow(at_ms=0)
        count_deed(own, everybody, undo)
        assert own == HistoryRow(at_ms=0) == everybody
