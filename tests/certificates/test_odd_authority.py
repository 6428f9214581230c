"""Authorities that are hostile or broken: the certificate in use stays, the next order comes."""

from __future__ import annotations

import asyncio
import gzip
import resource
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kit.certificate_site import HOST, Site
from kit.odd_authority import Asked, Fields
from kit.store import running
from zajil.store.engine.errors import StoreFull
from zajil.store.engine.open import Store
from zajil.store.people.certificates import (
    list_certificates,
    load_acme_account,
)
from zajil.store.people.host_keys import list_host_keys
from zajil.tls.certificate import DAY_MS

OTHER = "mta-sts.x.test"
KIB = 1024
DEEP = b"[" * 200_000
Odd = Callable[[Asked], None]


def reply(status: int, body: object, fields: Fields | None = None) -> Odd:
    return lambda asked: asked.reply(status, body, fields)


def problem(kind: str, status: int = 400, fields: Fields | None = None) -> Odd:
    return lambda asked: asked.problem(kind, status, fields)


def order(retry_after: str = "1", **more: object) -> Odd:
    def answer(asked: Asked) -> None:
        url = asked.authority.url
        body = {"identifiers": [{"type": "dns", "value": HOST}], "finalize": f"{url}/finalize"}
        rest = {"authorizations": [f"{url}/authorization"], **more}
        asked.reply(200, body | rest, {"Location": f"{url}/order", "Retry-After": retry_after})

    return answer


def drip(asked: Asked) -> None:
    """Send a header section, or a body, that never ends."""
    asked.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n")
    if asked.command != "GET":
        asked.wfile.write(b"\r\n")
    while not asked.authority.is_over.wait(0.1):
        asked.wfile.write(b"x")


def endless(asked: Asked) -> None:
    """Send more than anybody has memory for."""
    asked.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not asked.authority.is_over.is_set():
        asked.wfile.write(bytes(1 << 20))


def silent(asked: Asked) -> None:
    asked.authority.is_over.wait()


def packed(asked: Asked) -> None:
    data = gzip.compress(bytes(32 << 20)) * 30
    asked.reply(200, data[: 1000 * KIB], {"Content-Encoding": "gzip"})


NO_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
PENDING = {"identifier": {"type": "dns", "value": HOST}, "status": "pending"}
ODD_ANSWERS: dict[str, list[Odd]] = {
    "directory": [
        *[reply(200, body) for body in (b"[]", b"null", b"5", DEEP, b"", b'{"meta": 5}')],
        reply(200, {"newNonce": 5, "newAccount": [], "newOrder": None}),
        lambda asked: asked.reply(302, b"", {"Location": asked.path}),
        *[reply(500, b"sorry"), drip, endless, silent, packed],
    ],
    "newNonce": [problem("badNonce"), problem("serverInternal", 500)],
    "newAccount": [
        reply(201, {}),
        reply(201, [], {"Location": "x" * 100_000}),
        problem("userActionRequired", 403),
        problem("rateLimited", 429, {"Retry-After": "9" * 30}),
        problem("badNonce"),
    ],
    "newOrder": [
        *[order(authorizations=found) for found in ([], 5, ["x", "y"])],
        order(status="ready", finalize=None),
        problem("unauthorized", 403),
        reply(201, {"status": "weird"}),
        reply(400, DEEP),
        reply(400, {"type": 5, "detail": {}, "subproblems": 5}),
        reply(400, {"type": "x", "detail": "\n\x1b[31m" + "d" * 100_000}),
    ],
    "authorization": [
        reply(200, {"status": "invalid"}),
        reply(200, PENDING | {"challenges": [{"type": "http-01", "url": "x", "token": "../x"}]}),
        reply(200, PENDING | {"challenges": [{"type": "odd", "url": "x"}] * 3}),
        reply(200, PENDING | {"challenges": 5}),
    ],
    "challenge": [reply(200, {}), problem("malformed"), drip],
    "finalize": [problem("badCSR"), reply(200, DEEP)],
    "order": [
        order(status="invalid"),
        order(status="processing", retry_after="9" * 30),
        order(status="valid", certificate=5),
    ],
    "certificate": [*[reply(200, body) for body in (b"", b"\xff" * 99, NO_CERTIFICATE)], endless],
}


@pytest.mark.parametrize("resource_name", ODD_ANSWERS)
def test_an_odd_answer_is_a_failure_that_costs_nothing(site: Site, resource_name: str) -> None:
    """Attack: endless, slow, deep, packed, or simply wrong."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for failures, odd in enumerate(ODD_ANSWERS[resource_name], 1):
        site.authority.asked.clear()
        site.authority.odd = {resource_name: odd}
        row = site.look()
        assert (row.chain, row.failures) == (site.old, failures), failures
        assert row.error is not None
        assert row.error.isprintable()
        assert len(row.error) < 600
        assert len(site.authority.asked) < 100
        wait_ms = (row.next_try_ms or 0) - site.clock.now_ms()
        assert 0 < wait_ms < 2 * DAY_MS
        site.clock.advance(wait_ms)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * KIB


def test_a_poll_waits_though_the_authority_says_it_need_not(site: Site) -> None:
    site.authority.odd["order"] = order(status="processing", retry_after="-5")
    site.look()
    assert site.authority.asked.count("order") < 5


def test_what_cannot_be_used_is_not_presented(site: Site) -> None:
    authority, stranger = site.authority, ec.generate_private_key(ec.SECP256R1()).public_key()
    chains: dict[str, Callable[[x509.CertificateSigningRequest], bytes]] = {
        "another key": lambda request: authority.issue(request, key=stranger),
        "another name": lambda request: authority.issue(request, OTHER),
        "is not valid now": lambda request: authority.issue(request, begin_days=-9, end_days=-1),
    }
    for reason, make in chains.items():
        authority.make_chain = make
        row = site.look()
        assert row.chain == site.old
        assert reason in (row.error or "")
        site.clock.advance((row.next_try_ms or 0) - site.clock.now_ms())


@pytest.mark.parametrize(
    ("start", "end"),
    [(-9999, -9998), (-0.1, -0.05), (5000, 6000), (80, 5), (100_000, 2_000_000)],
)
def test_advice_on_renewal_is_followed_within_reason(site: Site, start: float, end: float) -> None:
    """Attack: windows in the past mean an order after each order, and in the future none at all."""
    site.authority.odd["renewalInfo"] = lambda asked: asked.authority.want_renewal(
        asked, start, end, {"Retry-After": "315360000"}
    )
    for _ in range(4):
        row = site.look()
    assert site.authority.asked.count("newOrder") == 1
    assert site.authority.asked.count("renewalInfo") == 0
    site.clock.advance(DAY_MS // 4)
    row = site.look()
    assert site.authority.asked.count("renewalInfo") == 1
    assert (row.renew_ms or 0) < (row.not_after_ms or 0) - 9 * DAY_MS
    assert (row.ask_ms or 0) <= site.clock.now_ms() + DAY_MS


def test_an_authority_that_is_away_is_not_asked_for_each_name(site: Site) -> None:
    """Else the look at many names would last for hours, and the next one follow at once."""
    site.more = tuple(f"n{number}.x.test" for number in range(12))
    site.authority.odd["directory"] = silent
    site.look_at_all()
    rows = {row.name: row for row in site.store.read_now(list_certificates)}
    assert {rows[name].failures for name in (HOST, *site.more)} == {1}
    assert site.authority.asked.count("directory") <= 3


def test_renewal_information_that_is_away_is_asked_for_later(site: Site) -> None:
    site.look()
    site.clock.advance(DAY_MS)
    site.authority.odd["directory"] = problem("serverInternal", 500)
    for _ in range(3):
        site.look()
    assert site.authority.asked.count("directory") == 2
    site.clock.advance(DAY_MS // 12)
    site.authority.odd = {"renewalInfo": problem("serverInternal", 500)}
    for _ in range(3):
        row = site.look()
    assert site.authority.asked.count("renewalInfo") == 1
    assert row.failures == 0


def test_a_clock_that_was_wrong_delays_no_order_for_long(site: Site) -> None:
    site.authority.odd["newOrder"] = problem("rateLimited", 429, {"Retry-After": "86400"})
    site.clock.advance(400 * DAY_MS)
    assert site.look().failures == 1
    site.clock.advance(-400 * DAY_MS)
    site.authority.odd.clear()
    assert site.look().chain != site.old


def test_an_account_that_the_authority_lost_is_registered_again(site: Site) -> None:
    site.look()
    site.clock.advance(70 * DAY_MS)
    site.authority.odd["newOrder"] = problem("accountDoesNotExist")
    row = site.look()
    assert row.failures == 1
    site.authority.odd.clear()
    site.clock.advance((row.next_try_ms or 0) - site.clock.now_ms())
    site.authority.make_chain = lambda request: site.authority.issue(request, end_days=200)
    assert site.look().failures == 0
    assert site.authority.asked.count("newAccount") == 2
    assert len(site.authority.account_keys) == 1


def test_the_name_of_an_authority_is_a_name(site: Site) -> None:
    """Attack: it goes into the CAA record of our zone."""

    def directory(asked: Asked) -> None:
        names = ("newNonce", "newAccount", "newOrder", "revokeCert")
        urls: dict[str, object] = {name: f"{asked.authority.url}/{name}" for name in names}
        asked.reply(200, urls | {"meta": {"caaIdentities": ['x"\n@ NS evil.test.', "y"]}})

    site.authority.odd["directory"] = directory
    assert site.look().failures == 0
    url = site.authority.options().directory or ""
    account = site.store.read_now(lambda conn: load_acme_account(conn, url))
    assert account is not None
    assert account.caa_domain is None


def test_a_worker_may_be_killed_at_any_request(site: Site) -> None:
    """The next one goes on with the same account and the same key."""

    async def killed_at(number: int) -> bool:
        loop, work = asyncio.get_running_loop(), None

        def each(resource_name: str) -> None:
            if len(site.authority.asked) == number and work is not None:
                loop.call_soon_threadsafe(work.cancel)

        site.authority.asked.clear()
        site.authority.each = each
        async with running(site.store):
            work = asyncio.create_task(site.upkeep().look())
            await asyncio.wait([work])
        return work.cancelled()

    number = 1
    while asyncio.run(killed_at(number)):
        assert site.row.chain == site.old
        number += 1
    assert number > 10
    assert site.row.chain != site.old
    assert len(site.authority.account_keys) == 1
    assert len(site.store.read_now(list_host_keys)) == 1


def test_a_full_disk_makes_no_second_order(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Authorities count orders: one whose certificate cannot be written yet is not repeated."""
    write, refused = Store.write, 0

    async def scenario(*units: str) -> None:
        nonlocal refused
        refused = 0

        async def full(store: Store, unit: Callable[..., object], *arguments: object) -> object:
            nonlocal refused
            if unit.__name__ in units and refused < 2:
                refused += 1
                raise StoreFull("the disk of the database is full")
            return await write(store, unit, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Store, "write", full)
        monkeypatch.setattr("zajil.certificates.upkeep._SOONEST_MS", 10)
        async with running(site.store):
            await site.upkeep().look()

    with pytest.raises(StoreFull):
        asyncio.run(scenario("note_waiting"))
    assert site.authority.asked == []
    asyncio.run(scenario("keep_certificates"))
    assert refused == 2
    assert site.row.chain != site.old
    assert site.authority.asked.count("newOrder") == 1
