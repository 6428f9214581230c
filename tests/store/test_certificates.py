"""Certificates, their keys and challenges in the store, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from kit.store import NOW_MS, running
from zajil.store.engine.batch import CERTIFICATES
from zajil.store.engine.open import Store
from zajil.store.people.certificates import (
    AcmeAccount,
    AcmeChallenge,
    CertificateRow,
    NewCertificate,
    NoSuchCertificate,
    OrderFailed,
    Presented,
    RenewalTime,
    find_challenge,
    forget_certificates,
    keep_acme_account,
    keep_certificates,
    list_certificates,
    load_acme_account,
    load_challenge_certificates,
    load_presented,
    note_order_failed,
    note_renewal_time,
    note_waiting,
    put_challenges,
    remove_challenges,
    request_renewal,
)
from zajil.store.people.host_keys import (
    HostKeyAt,
    HostKeyState,
    NewHostKey,
    activate_host_keys,
    add_host_keys,
    forget_host_keys,
    list_host_keys,
    load_host_key,
    note_host_key_found,
    note_host_key_missing,
)

MAIL = "mail.x.test"


def key(mark: str, state: HostKeyState) -> NewHostKey:
    return NewHostKey(MAIL, mark, f"secret {mark}".encode(), state, NOW_MS)


def issued(key_hash: str, at_ms: int = NOW_MS) -> NewCertificate:
    return NewCertificate(
        name=MAIL,
        key_hash=key_hash,
        chain=b"chain " + key_hash.encode(),
        not_before_ms=1,
        not_after_ms=9,
        ask_ms=0,
        renew_ms=5,
        at_ms=at_ms,
    )


def only(store: Store) -> CertificateRow:
    [row] = store.read_now(list_certificates)
    return row


def test_the_first_key_of_an_account_stays(store: Store) -> None:
    """A process that was killed before it learned its address registers the same key again."""
    url = "https://ca.test/dir"
    store.write_now(keep_acme_account, AcmeAccount(url, b"one", None, NOW_MS))
    assert store.read_now(lambda conn: load_acme_account(conn, "https://other.test/")) is None
    store.write_now(
        keep_acme_account, AcmeAccount(url, b"two", "https://ca.test/1", NOW_MS, "ca.test")
    )
    found = store.read_now(lambda conn: load_acme_account(conn, url))
    assert found == AcmeAccount(url, b"one", "https://ca.test/1", NOW_MS, "ca.test")


def test_a_failure_keeps_the_certificate_and_a_success_forgets_it(store: Store) -> None:
    store.write_now(add_host_keys, key("a1", HostKeyState.ACTIVE))
    store.write_now(keep_certificates, issued("a1"))
    for count in (1, 2):
        store.write_now(note_order_failed, OrderFailed(MAIL, "no route", NOW_MS + count, 77))
        row = only(store)
        assert (row.failures, row.error, row.next_try_ms) == (count, "no route", 77)
        assert row.chain == b"chain a1"
    assert store.read_now(load_presented) == [Presented(MAIL, b"chain a1", b"secret a1")]
    store.write_now(keep_certificates, issued("a1", NOW_MS + 9))
    row = only(store)
    assert (row.failures, row.error, row.next_try_ms, row.tried_ms) == (0, None, None, NOW_MS + 9)


def test_what_a_name_waits_for_and_when_it_is_due(store: Store) -> None:
    store.write_now(note_waiting, (MAIL, "no A record"))
    assert only(store) == CertificateRow(name=MAIL, waits_for="no A record")
    assert store.read_now(load_presented) == []
    store.write_now(note_waiting, (MAIL, None))
    store.write_now(note_renewal_time, RenewalTime(MAIL, 10, 20))
    assert only(store) == CertificateRow(name=MAIL, renew_ms=10, ask_ms=20)
    store.write_now(note_order_failed, OrderFailed(MAIL, "no", NOW_MS, 30))
    store.write_now(request_renewal, MAIL)
    row = only(store)
    assert (row.renew_ms, row.ask_ms, row.next_try_ms, row.failures) == (0, None, None, 0)
    with pytest.raises(NoSuchCertificate):
        store.write_now(request_renewal, "other.test")
    store.write_now(forget_certificates, MAIL)
    assert store.read_now(list_certificates) == []


def test_a_key_goes_its_way(store: Store) -> None:
    def states() -> dict[str, str]:
        return {row.key_hash: row.state.value for row in store.read_now(list_host_keys)}

    assert store.write_now(add_host_keys, key("a1", HostKeyState.ACTIVE))
    assert not store.write_now(add_host_keys, key("a2", HostKeyState.ACTIVE))
    store.write_now(keep_certificates, issued("a1"))
    assert store.write_now(add_host_keys, key("b1", HostKeyState.NEXT))
    assert not store.write_now(add_host_keys, key("b2", HostKeyState.NEXT))
    assert states() == {"a1": "active", "b1": "next"}

    at = HostKeyAt(MAIL, "b1", NOW_MS + 5)
    store.write_now(note_host_key_found, at)
    store.write_now(note_host_key_found, HostKeyAt(MAIL, "b1", NOW_MS + 6))
    [_, row] = store.read_now(lambda conn: list_host_keys(conn, MAIL))
    assert row.found_ms == NOW_MS + 5
    store.write_now(note_host_key_missing, at)
    assert store.write_now(activate_host_keys, at)
    assert not store.write_now(activate_host_keys, at)
    assert states() == {"a1": "retired", "b1": "active"}

    # The old certificate is presented until there is a new one.
    store.write_now(forget_host_keys, NOW_MS + 100)
    assert store.read_now(load_presented) == [Presented(MAIL, b"chain a1", b"secret a1")]
    store.write_now(keep_certificates, issued("b1"))
    store.write_now(forget_host_keys, NOW_MS + 4)
    assert states() == {"a1": "retired", "b1": "active"}
    store.write_now(forget_host_keys, NOW_MS + 100)
    assert states() == {"b1": "active"}
    assert store.read_now(lambda conn: load_host_key(conn, "b1")) == b"secret b1"
    assert store.read_now(lambda conn: load_host_key(conn, "a1")) is None


def test_challenges_are_found_until_they_are_removed(store: Store) -> None:
    store.write_now(put_challenges, AcmeChallenge("t1", MAIL, "t1.thumb", NOW_MS))
    store.write_now(put_challenges, AcmeChallenge("t2", MAIL, "t2.thumb", NOW_MS, b"cert", b"key"))
    store.write_now(put_challenges, AcmeChallenge("t3", "mta-sts.x.test", "t3.thumb", NOW_MS))

    def found(token: str) -> str | None:
        return store.read_now(lambda conn: find_challenge(conn, token))

    assert [found("t1"), found("t2"), found("t3")] == [None, "t2.thumb", "t3.thumb"]
    assert store.read_now(load_challenge_certificates) == [Presented(MAIL, b"cert", b"key")]
    store.write_now(remove_challenges, MAIL)
    assert [found("t2"), found("t3")] == [None, "t3.thumb"]


def test_workers_hear_of_a_change(store: Store) -> None:
    async def scenario() -> None:
        async with running(store):
            heard = asyncio.Event()
            store.changes.subscribe(CERTIFICATES, heard.set)
            await store.changes.look()
            for change in (
                store.write(add_host_keys, key("a1", HostKeyState.ACTIVE)),
                store.write(keep_certificates, issued("a1")),
                store.write(put_challenges, AcmeChallenge("t1", MAIL, "t1.thumb", NOW_MS)),
                store.write(request_renewal, MAIL),
            ):
                heard.clear()
                await change
                assert heard.is_set()

    asyncio.run(scenario())
