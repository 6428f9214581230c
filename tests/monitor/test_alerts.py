"""Administrators are told when a condition begins, daily while it lasts, and when it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from kit.clock import FakeClock
from kit.reading import inbox_of
from kit.store import make_account, open_test_store, running
from zajil.accept.own_mail import OwnMailer
from zajil.app.alerting import find_language
from zajil.config.options_monitor import AlertOptions
from zajil.core.address import parse_address
from zajil.core.ids import AccountId
from zajil.monitor.alert_texts import TEXTS, speak
from zajil.monitor.alerts import AlertKeeper, AlertMailer, AlertReader
from zajil.monitor.conditions import DAY_MS, AlertCondition, AlertKind
from zajil.monitor.finders import AlertWatch
from zajil.route.recipient import Local
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewActive, find_by_login, set_active
from zajil.store.people.forwarding import Forwarding, set_forwarding
from zajil.store.people.settings import NewSettings, set_settings
from zajil.store.reports.alerts import list_alerts

MINUTE = 60_000
QUEUE = AlertCondition(
    AlertKind.QUEUE, "", {"count": 3, "oldest_age": 5 * 3_600_000, "reasons": "x"}
)
DNS = AlertCondition(AlertKind.DNS, "north.test", {"records": "MX north.test"})


class Scene:
    """A keeper whose conditions are set by hand, and what it sent."""

    def __init__(self, store: Store, clock: FakeClock, **options: object) -> None:
        self.store, self.clock = store, clock
        self.now: Sequence[AlertCondition] | None = []
        self.options = AlertOptions.model_validate(options, by_name=True)
        self.keeper = self.new_keeper()

    def new_keeper(self) -> AlertKeeper:
        """Give a keeper that remembers nothing, as that of another worker."""
        letters = AlertMailer(
            mailer=OwnMailer(
                store=self.store, clock=self.clock, random=os.urandom, lifetime_ms=432_000_000
            ),
            options=self.options,
            hostname="mail.north.test",
            languages=find_language,
        )
        return AlertKeeper(letters, [AlertWatch(frozenset(AlertKind), self.find, 0)])

    async def find(self) -> Sequence[AlertCondition] | None:
        return self.now

    async def look(self, now: Sequence[AlertCondition] | None, minutes: int = 1) -> None:
        """Let some time pass, then look."""
        self.now = now
        self.clock.advance(minutes * MINUTE)
        await self.keeper.look()

    async def subjects(self, who: str = "boss@north.test") -> list[str]:
        """Give the subjects of all mails that were sent."""
        mails = await inbox_of(self.store, who)
        return [str(message_from_bytes(one, policy=default)["Subject"]) for one in mails]


def play(
    store: Store, story: Callable[[Scene], Awaitable[None]], clock: FakeClock, **options: object
) -> None:
    """Run a story with a started store that has one administrator."""

    async def run() -> None:
        async with running(store):
            await store.directory.load()
            await story(Scene(store, clock, **options))

    asyncio.run(run())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(store_url: str, tmp_path: Path, clock: FakeClock) -> Store:
    store = open_test_store(store_url, tmp_path, clock=clock)
    make_account(store, "boss@north.test", admin=True)
    make_account(store, "amal@north.test")
    return store


QUEUE_TITLE = "[mail.north.test] Mail has been waiting for a long time"


def test_once_at_the_beginning_daily_and_once_at_the_end(store: Store, clock: FakeClock) -> None:
    async def story(scene: Scene) -> None:
        await scene.look([])
        assert await scene.subjects() == []
        for _ in range(5):
            await scene.look([QUEUE])
        assert await scene.subjects() == [QUEUE_TITLE]
        scene.keeper = scene.new_keeper()  # another worker has the chore now
        await scene.look([QUEUE], 60)
        assert len(await scene.subjects()) == 1
        await scene.look([QUEUE], 24 * 60)
        still = "[mail.north.test] Still: Mail has been waiting for a long time"
        assert (await scene.subjects())[1:] == [still]
        await scene.look([])
        await scene.look([QUEUE])  # it was gone for a moment only
        await scene.look([])
        await scene.look([], 10)
        assert len(await scene.subjects()) == 2
        await scene.look([], 10)
        over = "[mail.north.test] Over: Mail has been waiting for a long time"
        assert (await scene.subjects())[2:] == [over]
        await scene.look([], 24 * 60)
        assert len(await scene.subjects()) == 3
        assert await scene.store.read(list_alerts) == []

    play(store, story, clock)


def test_what_is_not_known_changes_nothing(store: Store, clock: FakeClock) -> None:
    async def story(scene: Scene) -> None:
        await scene.look([DNS])
        scene.keeper = scene.new_keeper()
        await scene.look(None, 60)
        await scene.look(None, 60)
        assert len(await scene.store.read(list_alerts)) == 1
        assert len(await scene.subjects()) == 1

    play(store, story, clock)


def test_all_that_changes_at_once_is_one_mail(store: Store, clock: FakeClock) -> None:
    async def story(scene: Scene) -> None:
        await scene.look([QUEUE, DNS])
        assert await scene.subjects() == [f"{QUEUE_TITLE} (+1)"]
        (mail,) = await inbox_of(scene.store, "boss@north.test")
        message = message_from_bytes(mail, policy=default)
        text = message.get_content()
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["From"] == "Zajil <postmaster@north.test>"
        assert "The oldest\none" in text or "The oldest one" in text
        assert "zajil queue list" in text
        assert "zajil dns check north.test" in text
        assert "MX north.test" in text

    play(store, story, clock)


def test_each_reads_their_own_language(store: Store, clock: FakeClock) -> None:
    noor = make_account(store, "noor@north.test", admin=True)

    async def story(scene: Scene) -> None:
        item = NewSettings(noor.account_id, {"language": "ar"})
        await scene.store.write(set_settings, item)
        await scene.look([QUEUE])
        assert await scene.subjects() == [QUEUE_TITLE]
        assert await scene.subjects("noor@north.test") == [
            "[mail.north.test] رسائل تنتظر منذ وقت طويل"
        ]
        assert await scene.subjects("amal@north.test") == []

    play(store, story, clock)


def test_chosen_addresses_get_them_instead(store: Store, clock: FakeClock) -> None:
    async def story(scene: Scene) -> None:
        await scene.look([QUEUE])
        assert await scene.subjects("amal@north.test") == [
            "[mail.north.test] Des messages attendent depuis longtemps"
        ]
        assert await scene.subjects() == []

    to = ("amal@north.test", "nobody@north.test")
    play(store, story, clock, to=to, language="fr")


def test_a_full_disk_is_told_in_the_log_and_by_mail_once_there_is_space(
    store_url: str, tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_test_store(store_url, tmp_path, clock=clock)
    make_account(store, "boss@north.test", admin=True)
    full = AlertCondition(AlertKind.DISK_FULL, "", {"free_bytes": 1, "reserve_bytes": 2})

    async def story(scene: Scene) -> None:
        space = scene.store.writer._require_space
        scene.store.writer._require_space = _no_space
        for _ in range(3):
            await scene.look([full])
        told = [one for one in caplog.records if one.getMessage() == "an alert begins"]
        assert len(told) == 1
        assert [row.told_ms for row in await scene.store.read(list_alerts)] == [0]
        assert await scene.subjects() == []
        scene.store.writer._require_space = space
        await scene.look([full])
        assert await scene.subjects() == ["[mail.north.test] No mail is accepted: the disk is full"]

    play(store, story, clock)


def test_an_administrator_who_forwards_all_mail_gets_alerts_there(
    store: Store, clock: FakeClock
) -> None:
    account_id = _account_id(store, "boss@north.test")
    far = (parse_address("boss@far.test"),)
    store.write_now(set_forwarding, Forwarding(account_id, far, keeps_copy=False))
    readers = _readers(store, clock)
    assert [str(one.addressed.address) for one in readers] == ["boss@north.test"]
    route = readers[0].addressed.route
    assert isinstance(route, Local)
    assert (route.entries, [str(one) for one in route.remote]) == ((), ["boss@far.test"])


def test_nobody_to_tell_is_an_error_of_the_log(
    store: Store, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    account_id = _account_id(store, "boss@north.test")
    store.write_now(set_active, NewActive(account_id, active=False))
    assert _readers(store, clock) == []
    assert "nobody gets alerts" in caplog.text


def _account_id(store: Store, address: str) -> AccountId:
    row = store.read_now(lambda conn: find_by_login(conn, address))
    assert row is not None
    return row.account_id


def _readers(store: Store, clock: FakeClock) -> list[AlertReader]:
    found: list[AlertReader] = []

    async def story(scene: Scene) -> None:
        found.extend(await scene.keeper.letters.readers())

    play(store, story, clock)
    return found


def _no_space() -> None:
    from zajil.store.engine.errors import ReserveReached

    raise ReserveReached("1 byte free")


@pytest.mark.parametrize("code", ["en", "ar", "fr"])
def test_every_kind_has_sentences(code: str) -> None:
    assert set(TEXTS) == set(AlertKind)
    facts: dict[str, str | int] = {
        **{"free_bytes": 5_000_000, "reserve_bytes": 268_435_456, "folder": "/srv"},
        **{"count": 3, "oldest_age": 7_200_000, "reasons": "timeout", "end_ms": 20 * DAY_MS},
        **{
            "records": "MX x.test",
            "window_age": 600_000,
            "faults": "row 1 is wrong",
            "reason": "refused",
        },
    }
    for kind in AlertKind:
        spoken = speak(AlertCondition(kind, "x.test", facts), find_language(code))
        for text in (spoken.title, spoken.text, spoken.advice, spoken.command):
            assert text
            assert "{" not in text
            assert text != "-"


def test_facts_of_an_older_version_do_no_harm() -> None:
    spoken = speak(AlertCondition(AlertKind.DISK), find_language("en"))
    assert spoken.text.startswith("- are free on the disk of -.")


def test_reasons_of_ours_are_in_the_language_of_the_reader() -> None:
    """What other servers say stays as it is, isolated, and turns nothing around it."""
    reasons = (
        "cannot connect to 192.0.2.1: Connection refused (3); not tried yet (2); "
        "550 no\r\n\u202eBcc: x (4); such <b>user</b> (1)"
    )
    facts: dict[str, str | int] = {"count": 10, "oldest_age": 7_200_000, "reasons": reasons}
    queue = AlertCondition(AlertKind.QUEUE, "", facts)
    arabic = speak(queue, find_language("ar")).text
    assert "رُفض الاتصال (3); لم" in arabic
    assert "Connection refused" not in arabic
    assert "\u2068such <b>user</b>\u2069 (1)" in arabic
    english = speak(queue, find_language("en")).text
    assert reasons.replace("\r\n\u202e", "  ") in english
    assert all(bad not in arabic + english for bad in ("\u202e", "\n", "\r"))
    renewal = AlertCondition(
        AlertKind.RENEWAL,
        "mail.x.test",
        {"count": 3, "reason": "cannot reach the authority at https://ca.test/d: time-out"},
    )
    french = speak(renewal, find_language("fr")).text
    assert "impossible de joindre l’autorité à https://ca.test/d : délai dépassé" in french
