"""What is due for one name: pure functions of rows, answers and the time."""

from __future__ import annotations

import pytest

from kit.zone import answer_from_zone, run_flow_on_zone
from zajil.certificates.names import find_addresses, obstacle, wanted_names
from zajil.certificates.plan import (
    OLD_ANSWERS_MS,
    KeyStep,
    TlsaSeen,
    is_due,
    key_step,
    pause_ms,
    renewal_time_ms,
    see_tlsa,
    time_in_window_ms,
)
from zajil.config.options_acme import AcmeOptions
from zajil.dns.flow import Question
from zajil.store.people.certificates import CertificateRow
from zajil.store.people.host_keys import HostKeyRow, HostKeyState

HOST, NOW, YEAR = "mail.x.test", 1_800_000_000_000, 365 * 86_400_000


def least(size: int) -> bytes:
    return bytes(size)


def most(size: int) -> bytes:
    return b"\xff" * size


def key(state: HostKeyState, *, begun_ms: int = NOW, found_ms: int | None = None) -> HostKeyRow:
    return HostKeyRow(
        name=HOST,
        key_hash=f"{state.value}-hash",
        state=state,
        created_ms=begun_ms,
        activated_ms=begun_ms,
        found_ms=found_ms,
    )


ACTIVE, NEXT = key(HostKeyState.ACTIVE), key(HostKeyState.NEXT)
IN_USE = CertificateRow(name=HOST, key_hash="active-hash", chain=b"x", renew_ms=NOW + 1)


@pytest.mark.parametrize(
    ("row", "due"),
    [
        (CertificateRow(name=HOST), True),
        (CertificateRow(name=HOST, waits_for="no record"), False),
        (CertificateRow(name=HOST, next_try_ms=NOW + 1), False),
        (CertificateRow(name=HOST, next_try_ms=NOW), True),
        (IN_USE, False),
        (CertificateRow(name=HOST, key_hash="active-hash", chain=b"x", renew_ms=NOW), True),
        (CertificateRow(name=HOST, key_hash="old", chain=b"x", renew_ms=NOW + 1), True),
    ],
)
def test_when_a_certificate_is_ordered(row: CertificateRow, due: bool) -> None:
    assert is_due(row, ACTIVE, NOW) is due


def test_a_renewal_comes_a_third_before_the_end_at_a_random_time() -> None:
    assert renewal_time_ms(0, 90_000, least) == 60_000
    assert 60_000 < renewal_time_ms(0, 90_000, most) < 63_000
    assert time_in_window_ms(1000, 2000, least) == 1000
    assert 1990 < time_in_window_ms(1000, 2000, most) < 2000


def test_pauses_grow_to_half_a_day_and_obey_the_authority() -> None:
    pauses = [pause_ms(failures, 0, least) for failures in range(1, 40)]
    assert pauses[:3] == [300_000, 600_000, 1_200_000]
    assert pauses[-1] == 12 * 3_600_000
    assert pause_ms(1, 86_400_000, least) == 86_400_000
    assert pause_ms(1, 0, most) > 300_000


@pytest.mark.parametrize(
    ("keys", "seen", "step"),
    [
        ([], None, KeyStep.MAKE_ACTIVE),
        ([ACTIVE], None, KeyStep.NOTHING),
        ([key(HostKeyState.ACTIVE, begun_ms=NOW - YEAR)], None, KeyStep.MAKE_NEXT),
        ([ACTIVE, NEXT], TlsaSeen.NONE, KeyStep.ACTIVATE),
        ([ACTIVE, NEXT], TlsaSeen.UNKNOWN, KeyStep.NOTHING),
        ([ACTIVE, NEXT], TlsaSeen.MISSING, KeyStep.NOTHING),
        ([ACTIVE, NEXT], TlsaSeen.FOUND, KeyStep.NOTE_FOUND),
        ([ACTIVE, key(HostKeyState.NEXT, found_ms=NOW)], TlsaSeen.FOUND, KeyStep.NOTHING),
        ([ACTIVE, key(HostKeyState.NEXT, found_ms=NOW)], TlsaSeen.MISSING, KeyStep.NOTE_MISSING),
        (
            [ACTIVE, key(HostKeyState.NEXT, found_ms=NOW - OLD_ANSWERS_MS)],
            TlsaSeen.FOUND,
            KeyStep.ACTIVATE,
        ),
        (
            [ACTIVE, key(HostKeyState.NEXT, found_ms=NOW - OLD_ANSWERS_MS)],
            TlsaSeen.UNKNOWN,
            KeyStep.NOTHING,
        ),
    ],
)
def test_a_key_waits_for_its_record(
    keys: list[HostKeyRow], seen: TlsaSeen | None, step: KeyStep
) -> None:
    assert key_step(keys, seen, YEAR, NOW) is step


def test_a_key_without_a_lifetime_stays() -> None:
    assert key_step([key(HostKeyState.ACTIVE, begun_ms=1)], None, 0, NOW) is KeyStep.NOTHING


@pytest.mark.parametrize(
    ("records", "seen"),
    [
        ({}, TlsaSeen.NONE),
        ({"TLSA": ["3 1 1 next-hash"]}, TlsaSeen.FOUND),
        ({"TLSA": ["3 1 1 active-hash"]}, TlsaSeen.MISSING),
        ({"TLSA": ["3 0 1 next-hash"]}, TlsaSeen.MISSING),
        (None, TlsaSeen.UNKNOWN),
    ],
)
def test_what_dns_says_of_a_key(records: dict[str, list[str]] | None, seen: TlsaSeen) -> None:
    name = f"_25._tcp.{HOST}"
    answer = answer_from_zone({name: records}, Question(name, "TLSA"))
    assert see_tlsa(answer, NEXT) is seen


def test_the_names_that_a_server_needs() -> None:
    options = AcmeOptions(names=("mx2.x.test", HOST))
    assert wanted_names(HOST, options, ["b.test", "a.test"]) == [
        HOST,
        "mx2.x.test",
        *("mta-sts.a.test", "autoconfig.a.test", "autodiscover.a.test"),
        *("mta-sts.b.test", "autoconfig.b.test", "autodiscover.b.test"),
    ]


def test_a_name_waits_until_it_leads_here() -> None:
    zone = {
        HOST: {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
        "here.test": {"AAAA": ["2001:db8:0::1"]},
        "there.test": {"A": ["192.0.2.1", "192.0.2.9"]},
        "broken.test": None,
    }
    own = run_flow_on_zone(find_addresses(HOST), zone)
    reasons = {
        name: obstacle(name, run_flow_on_zone(find_addresses(name), zone), own, HOST)
        for name in (HOST, "here.test", "there.test", "broken.test", "none.test")
    }
    assert reasons == {
        HOST: None,
        "here.test": None,
        "there.test": f"there.test leads to 192.0.2.9, which is not an address of {HOST}",
        "broken.test": "DNS does not answer for broken.test",
        "none.test": "there is no A or AAAA record of none.test",
    }
    assert obstacle("here.test", own, None, HOST) == f"DNS does not answer for {HOST}"
