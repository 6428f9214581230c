"""Caps hold over all workers, and what a dead worker counted is forgotten."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from zajil.net.limits import (
    ADDRESS_TAKEN,
    ALL_TAKEN,
    NETWORK_TAKEN,
    SessionLimits,
    SessionTable,
    limited_network,
)


def test_workers_count_together() -> None:
    table, limits = SessionTable(2), SessionLimits(9, 2, 3)
    one, two = table.caps(0, limits), table.caps(1, limits)
    assert [one.admit("192.0.2.1"), two.admit("192.0.2.1")] == ["", ""]
    assert one.admit("192.0.2.1") == two.admit("192.0.2.1") == ADDRESS_TAKEN
    assert one.admit("192.0.2.2") == ""
    assert two.admit("192.0.2.3") == NETWORK_TAKEN
    assert two.admit("192.0.3.3") == ""
    two.forget("192.0.2.1")
    assert one.admit("192.0.2.1") == ""


def test_a_dead_worker_counts_no_more() -> None:
    table, limits = SessionTable(2), SessionLimits(2, 2, 2)
    one, dead = table.caps(0, limits), table.caps(1, limits)
    assert [dead.admit("192.0.2.1"), dead.admit("192.0.2.1")] == ["", ""]
    assert one.admit("198.51.100.1") == ALL_TAKEN
    table.caps(1, limits)
    assert [one.admit("192.0.2.1"), one.admit("192.0.2.1")] == ["", ""]


def test_networks() -> None:
    assert (
        limited_network("192.0.2.1")
        == limited_network("192.0.2.254")
        != limited_network("192.0.3.1")
    )
    assert limited_network("2001:db8::1") == limited_network("2001:db8::ffff:0:0:1")
    assert limited_network("2001:db8::1") != limited_network("2001:db8:0:1::1")


HOSTS = st.sampled_from(["192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1", "2001:db8::2"])


@given(st.lists(st.tuples(st.integers(0, 2), HOSTS, st.booleans()), max_size=60))
def test_counts_are_those_of_a_plain_counter(
    steps: list[tuple[int, str, bool]],
) -> None:
    limits = SessionLimits(8, 3, 4)
    table = SessionTable(3)
    caps = [table.caps(number, limits) for number in range(3)]
    held: list[tuple[int, str]] = []
    for worker, host, comes in steps:
        if comes:
            addresses = Counter(held_host for _, held_host in held)
            networks = Counter(limited_network(held_host) for _, held_host in held)
            free = len(held) < 8 and addresses[host] < 3 and networks[limited_network(host)] < 4
            assert (caps[worker].admit(host) == "") is free
            if free:
                held.append((worker, host))
        elif (worker, host) in held:
            held.remove((worker, host))
            caps[worker].forget(host)
    assert sum(cap.count for cap in caps) == len(held)
