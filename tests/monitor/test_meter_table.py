"""What workers count together, whatever becomes of one of them."""

from __future__ import annotations

import os

import pytest

from zajil.monitor import meters
from zajil.monitor.meter_table import ROW, MeterTable, known_labels, labels_of
from zajil.monitor.meters import COUNTED, METERS, OTHER, MeterKind


def count_in_child(table: MeterTable, slot: int, times: int) -> None:
    """Count in another process, which then dies without a word."""
    pid = os.fork()
    if pid == 0:
        row = table.worker(slot)
        for _ in range(times):
            row.counter(meters.LOGINS)(("imaps", "ok"))
            row.histogram(meters.MESSAGE_SIZE)(2000)
        row.set(meters.START, value=100 + slot)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_all_processes_are_added_up() -> None:
    table = MeterTable(4)
    count_in_child(table, 0, 3)
    count_in_child(table, 3, 4)
    table.supervisor().counter(meters.WORKER_DEATHS)()
    logins = table.values(meters.LOGINS)
    assert logins["imaps", "ok"] == 7
    assert sum(logins.values()) == 7
    assert table.histogram(meters.MESSAGE_SIZE).sum == 14_000
    assert table.histogram(meters.MESSAGE_SIZE).counts[:3] == (0, 7, 0)
    assert table.values(meters.START) == {(): 103}
    assert table.values(meters.WORKER_DEATHS) == {(): 1}


def test_the_successor_of_a_dead_worker_goes_on_counting() -> None:
    table = MeterTable(2)
    count_in_child(table, 1, 3)
    count_in_child(table, 1, 2)
    assert table.values(meters.LOGINS)["imaps", "ok"] == 5


def test_values_that_nobody_expected_are_one() -> None:
    table = MeterTable(1)
    row = table.worker(0)
    for number in range(1000):
        row.counter(meters.CHECK_RESULTS)((f"check {number}", "pass"))
    row.counter(meters.RECIPIENTS_REFUSED)(("5.900.8",))
    assert table.values(meters.CHECK_RESULTS)[OTHER, "pass"] == 1000
    assert table.values(meters.RECIPIENTS_REFUSED)[OTHER,] == 1
    with pytest.raises(KeyError, match="no result 'maybe'"):
        known_labels(meters.LOGINS, ("imap", "maybe"))


def test_bounds_of_buckets_belong_to_them() -> None:
    table = MeterTable(1)
    row = table.worker(0)
    for value in (0.0, 1.0, 1.5, 1e9):
        row.histogram(meters.DELIVERY_SECONDS)(value)
    counts = table.histogram(meters.DELIVERY_SECONDS).counts
    assert (counts[0], counts[1], counts[-1]) == (2, 1, 1)


def test_no_two_numbers_share_a_place() -> None:
    table = MeterTable(1)
    row = table.worker(0)
    counters = [meter for meter in COUNTED if meter.kind is MeterKind.COUNTER]
    for meter in counters:
        for number, labels in enumerate(labels_of(meter)):
            row.counter(meter)(labels, number + 1)
    for meter in counters:
        assert list(table.values(meter).values()) == [
            number + 1 for number, _ in enumerate(labels_of(meter))
        ]


def test_names_follow_the_conventions() -> None:
    names = [meter.name for meter in METERS]
    assert len(set(names)) == len(names)
    for meter in METERS:
        assert meter.name.startswith("zajil_")
        assert meter.name.endswith("_total") == (meter.kind is MeterKind.COUNTER)
        assert meter.help.endswith(".")
        assert (meter.kind is MeterKind.HISTOGRAM) == bool(meter.buckets)
        assert list(meter.buckets) == sorted(meter.buckets)
        assert not (meter.kind is MeterKind.HISTOGRAM and meter.labels)


def test_a_server_has_few_series() -> None:
    assert ROW < 1000
