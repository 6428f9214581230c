"""Junk, not junk and phishing: the notice says what the filter learns, and undo unlearns it."""

from __future__ import annotations

import asyncio

import pytest

from kit.site import Site, letter, visiting
from kit.webmail import member, role, uids
from zajil.check.learned.reputation import History, learner_of
from zajil.check.learned.trainer import Trainer
from zajil.config.options_words import WordOptions
from zajil.store.engine.open import Store
from zajil.store.feedback.reputation import load_counts
from zajil.store.feedback.training import load_words
from zajil.store.mail.summaries import newest_summaries
from zajil.web.webmail.lessons import count_words

PROVEN = b"Authentication-Results: mx.north.test; dmarc=pass header.from=south.test\r\n"
TEXT = "Buy seven cheap pills now.\n"
LEARNED = "The junk filter learns 7 words and the sender of the message."


def proven() -> bytes:
    return PROVEN + letter("Pills", TEXT).as_bytes()


def learned(site: Site) -> tuple[int, float]:
    """Return how many words amal's filter knows, and how often it junked the sender."""
    amal = site.entry("amal").account_id
    words = site.store.read_now(lambda conn: load_words(conn, amal))
    key = "address:noor@south.test"
    counts = site.store.read_now(lambda conn: load_counts(conn, [amal], [key], 0))
    junked = counts[amal, key].junked if (amal, key) in counts else 0.0
    return len([word for word, junk, ham in words if junk or ham]), junked


async def train(site: Site) -> None:
    history = History(site.store, site.clock)
    learners = [learner_of(history, "mx.north.test")]
    trainer = Trainer(site.store, WordOptions(), site.clock, learners)
    while await trainer.learn_due():
        pass


def test_words_of_a_message_are_counted_once() -> None:
    # Its author's name, the subject and the text; "pills" is in both.
    assert count_words(proven()) == 7
    assert count_words(b"Subject: a\r\n\r\n") == 0


def test_mark_as_junk_says_what_is_learned_and_undo_unlearns_it(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", proven())
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            await amal.get(inbox)
            for is_learned in (False, True):
                (uid,) = uids(site, site.entry("amal").inbox)
                await amal.post(inbox, uid=str(uid), action="junk")
                if is_learned:
                    await train(site)
                    assert learned(site)[0] >= 7
                    assert learned(site)[1] == 1.0
                page = await amal.get(inbox)
                assert f"1 message moved to Junk. {LEARNED}" in page.text
                done = await amal.post("/mail/undo", undo=page.field("undo"), next=inbox)
                assert done.status == 303
                await train(site)
                assert learned(site) == (0, 0.0)

    asyncio.run(scenario())


def test_not_junk_and_many_messages(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", proven())
            site.deliver("amal", letter("No proof", TEXT))
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            await amal.get(inbox)
            await amal.post(inbox, uid=["1", "2"], action="junk")
            page = (await amal.get(inbox)).text
            assert "2 messages moved to Junk. The junk filter learns from these messages." in page
            await train(site)
            junk = f"/mail/{role(site, 'amal', 'junk')}"
            await amal.get(junk)
            await amal.post(junk, uid="1", action="inbox")
            assert f"1 message moved to the Inbox. {LEARNED}" in (await amal.get(junk)).text
            # Nothing proves who sent the second.
            await amal.post(junk, uid="2", action="inbox")
            page = (await amal.get(junk)).text
            assert "1 message moved to the Inbox. The junk filter learns 9 words of the" in page
            # Deleting junk says nothing.
            await amal.post(inbox, uid="3", action="junk")
            await amal.post(junk, uid="3", action="delete")
            assert "The junk filter" not in (await amal.get(junk)).text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("language", "said"),
    [("ar", "يتعلم مرشِّح البريد غير الهام"), ("fr", "Le filtre des indésirables retient")],
)
def test_a_report_of_phishing_is_undone_whole(
    sqlite_store: Store, language: str, said: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", proven())
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            await amal.get(f"{inbox}/1")
            await amal.post(f"{inbox}/1/report")
            page = await amal.get(inbox)
            assert f"Reported as phishing. The message is in Junk. {LEARNED}" in page.text
            await amal.post("/mail/undo", undo=page.field("undo"), next=inbox)
            assert "The action was undone." in (await amal.get(inbox)).text
            await train(site)
            assert learned(site) == (0, 0.0)
            (uid,) = uids(site, site.entry("amal").inbox)
            inbox_id = site.entry("amal").inbox
            ((found, _),) = site.store.read_now(lambda c: newest_summaries(c, inbox_id, 9))
            assert "$Phishing" not in found.flags
            await amal.post("/preferences", language=language, next=inbox)
            await amal.get(f"{inbox}/{uid}")
            await amal.post(f"{inbox}/{uid}/report")
            assert said in (await amal.get(inbox)).text

    asyncio.run(scenario())
