"""The journey in a page: everybody sees their part of it."""

from __future__ import annotations

import asyncio
import re

from kit.site import letter, visiting
from kit.store import NOW_MS, make_intake
from kit.talk import talk_to_receiver
from kit.webmail import journey_of_sent, member
from zajil.core.address import parse_address
from zajil.core.ids import ID_RANDOM_SIZE, new_mail_id
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailboxes import find_role
from zajil.store.mail.tracking import EventBatch, MailQuery, find_mails, record_events
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.queue.queue_admin import QueueQuery, list_rows
from zajil.tracking.events import (
    AttemptMade,
    CheckDone,
    DsnSuppressed,
    FaultHappened,
    MailboxFiled,
    MailRefused,
    RecipientNamed,
    RouteFailed,
    SenderNamed,
    SessionClosed,
)


def test_everybody_sees_their_part(store: Store) -> None:
    """Design D7, in the page and in its JSON, on both databases."""

    async def scenario() -> None:
        async with visiting(store) as site:
            basim = await member(site, "basim")
            await basim.get("/compose")
            sent = await basim.post(
                "/compose", to="amal@north.test", bcc="salma", subject="s", body="b"
            )
            assert sent.status == 422
            await basim.post(
                "/compose", to="amal@north.test", bcc="سلمى@زاجل.test", subject="s", body="b"
            )
            path = await journey_of_sent(basim)
            own = await basim.get(path)
            assert "amal@north.test" in own.text
            assert "سلمى@زاجل.test" in own.text
            salma = await member(site, "salma")
            seen = await salma.get(path)
            assert "سلمى@زاجل.test" in seen.text
            assert "amal@north.test" not in seen.text
            assert "amal" not in (await salma.get(f"{path}.json")).text
            admin = await member(site, "amal")
            shown = (await admin.get(f"{path}.json")).response.json()
            assert {copy["address"] for copy in shown["recipients"]} == {
                "amal@north.test",
                "سلمى@زاجل.test",
            }
            assert {event["name"] for event in shown["events"]} >= {
                "session.opened",
                "mail.sender",
                "mail.accepted",
                "deliver.filed",
            }

    asyncio.run(scenario())


def test_a_stranger_does_not_learn_that_it_exists(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            mail_id = site.deliver("amal", letter())
            basim = await member(site, "basim")
            unknown = await basim.get("/journey/" + "0" * 28)
            hidden = await basim.get(f"/journey/{mail_id}")
            assert (unknown.status, hidden.status) == (404, 404)
            assert (await basim.get(f"/journey/{mail_id}.json")).status == 404

    asyncio.run(scenario())


def test_a_letter_leads_to_its_journey(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            mail_id = site.deliver("basim", letter())
            basim = await member(site, "basim")
            page = await basim.get(f"{site.inbox('basim')}/1")
            assert f'href="/journey/{mail_id}"' in page.text
            story = await basim.get(f"/journey/{mail_id}")
            assert "The message was stored and accepted for delivery" in story.text
            arabic = await member(site, "basim", **{"accept-language": "ar"})
            assert "حُفظت الرسالة وقُبلت للتسليم" in (await arabic.get(f"/journey/{mail_id}")).text

    asyncio.run(scenario())


def test_what_peers_say_stays_text(sqlite_store: Store) -> None:
    """A dialogue is a stranger's words, shown to an admin."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            mail_id = site.deliver("amal", letter())
            attack = "<script>alert(1)</script>{recipient}%(x)s"
            attempt = AttemptMade(NOW_MS, attack, "", None, (f"S: 220 {attack}",), attack)
            fault = FaultHappened(NOW_MS, attack, attack)
            batch = EventBatch(None, mail_id, NOW_MS, (attempt, fault))
            await sqlite_store.write(record_events, batch)
            admin = await member(site, "amal")
            page = await admin.get(f"/journey/{mail_id}")
            assert page.status == 200
            assert "<script>alert" not in page.text
            assert page.text.count("&lt;script&gt;alert(1)") >= 4

    asyncio.run(scenario())


def test_an_admin_finds_mails(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            mail_id = site.deliver("basim", letter())
            admin = await member(site, "amal")
            for query in ("", "?to=basim@north.test", "?from=sender", "?since=2001-01-01"):
                assert str(mail_id) in (await admin.get(f"/admin/journeys{query}")).text
            for query in ("?to=nobody@north.test", "?since=2100-01-01", "?message_id=none"):
                assert str(mail_id) not in (await admin.get(f"/admin/journeys{query}")).text
            assert (await admin.get("/admin/journeys?since=0001-01-01")).status == 200

    asyncio.run(scenario())


def test_an_admin_holds_and_releases(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            item = make_intake(store.blobs.stage([b"x"]), remote=["noor@south.test"])
            await store.write(write_intakes, item)
            admin = await member(site, "amal")
            assert "noor@south.test" in (await admin.get("/admin/queue")).text
            for action, state, words in (
                ("hold", "held", "1 message is on hold."),
                ("release", "waiting", "1 message was released."),
            ):
                await admin.post("/admin/queue", action=action, mail_id=item.mail_id)
                assert f'role="status">{words}<' in (await admin.get("/admin/queue")).text
                (row,) = await store.read(lambda conn: list_rows(conn, QueueQuery()))
                assert row.state == state
            assert (await admin.post("/admin/queue", action="x", mail_id="y")).status == 400
            story = await admin.get(f"/journey/{item.mail_id}")
            assert "An operator put the message on hold." in story.text

    asyncio.run(scenario())


def test_the_desk_shows_domains_and_accounts(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin = await member(site, "amal")
            assert "<bdi>زاجل.test</bdi>" in (await admin.get("/admin/domains")).text
            assert "<bdi>سلمى@زاجل.test</bdi>" in (await admin.get("/admin/accounts")).text

    asyncio.run(scenario())


def test_a_refused_mail_is_shown_to_admins_alone(sqlite_store: Store) -> None:
    """The reply to its sender names it, and the sender asks an admin."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            mail_id = new_mail_id(NOW_MS, bytes(ID_RANDOM_SIZE))
            events = (
                SenderNamed(NOW_MS, "stranger@elsewhere.test", ""),
                RecipientNamed(NOW_MS, "basim@north.test", "local"),
                MailRefused(NOW_MS, "550 5.6.0 a NUL byte"),
            )
            await site.store.write(record_events, EventBatch(None, mail_id, NOW_MS, events))
            admin, basim = await member(site, "amal"), await member(site, "basim")
            page = await admin.get(f"/journey/{mail_id}")
            assert page.status == 200
            assert "550 5.6.0 a NUL byte" in page.text
            assert "basim@north.test" in page.text
            shown = (await admin.get(f"/journey/{mail_id}.json")).response.json()
            assert shown["recipients"] == [
                {
                    "address": "basim@north.test",
                    "state": "refused",
                    "reason": "550 5.6.0 a NUL byte",
                    "next_try_ms": None,
                }
            ]
            assert (await basim.get(f"/journey/{mail_id}")).status == 404

    asyncio.run(scenario())


def test_a_sender_does_not_see_behind_an_alias(store: Store) -> None:
    """An alias of an alias, with a target here and one elsewhere: page, JSON, and their owner."""

    async def scenario() -> None:
        inner, outer = parse_address("inner@north.test"), parse_address("circle@north.test")
        here, far = parse_address("سلمى@زاجل.test"), parse_address("discreet@far.test")
        async with visiting(store) as site:
            for row in (AliasRow(inner, (here, far)), AliasRow(outer, (inner,))):
                await store.write(create_alias, row)
            basim = await member(site, "basim")
            await basim.get("/compose")
            await basim.post("/compose", to="circle@north.test", subject="s", body="b")
            path = await journey_of_sent(basim)
            shown = await basim.get(f"{path}.json")
            assert [one["address"] for one in shown.response.json()["recipients"]] == [
                "circle@north.test"
            ]
            for text in (shown.text, (await basim.get(path)).text):
                assert "circle@north.test" in text
                for name in ("inner", "سلمى", "salma", "discreet", "far.test"):
                    assert name not in text
            salma = await member(site, "salma")
            own = await salma.get(f"{path}.json")
            assert "circle@north.test" in own.text
            assert "far.test" not in own.text
            admin = await member(site, "amal")
            assert "discreet@far.test" in (await admin.get(path)).text

    asyncio.run(scenario())


def test_all_steps_are_closed_until_asked(sqlite_store: Store) -> None:
    """A user reads one sentence for each recipient; an admin sees the steps of others' mail."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            basim = await member(site, "basim")
            await basim.get("/compose")
            to = "amal@north.test, ghost@south.test"
            await basim.post("/compose", to=to, subject="s", body="b")
            path = await journey_of_sent(basim)
            own = (await basim.get(path)).text
            assert '<details class="all-steps">' in own
            assert "Delivered to the mailbox on" in own
            assert "1 of 2 delivered" in own
            assert 'id="journey" data-follow="20" data-live="/journey/' in own
            admin = await member(site, "amal")
            assert '<details class="all-steps">' in (await admin.get(path)).text
            mail_id = site.deliver("basim", letter())
            page = (await admin.get(f"/journey/{mail_id}")).text
            assert '<details class="all-steps" open>' in page
            assert "data-follow" not in page

    asyncio.run(scenario())


LATIN_SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")


def left_in_english(page: str) -> list[str]:
    """Give the Latin sentences of a page that nobody but we can have written.

    Values stand in ``bdi`` and ``code``; what other servers said, and header fields, in ``.said``.
    """
    main = page.partition("<main")[2].partition("</main")[0]
    quoted = r"<bdi[^>]*>[^<]*</bdi>|<code[^>]*>[^<]*</code>|<textarea.*?</textarea>"
    while re.search(quoted, main, re.DOTALL):
        main = re.sub(quoted, "", main, flags=re.DOTALL)
    main = re.sub(
        r'<span class="said(?: ours)?">(?:[CS]: |[A-Z]+ \S+ -&gt; )[^<]*</span>', "", main
    )
    return [text for text in re.findall(r">([^<]*)<", main) if LATIN_SENTENCE.search(text)]


def test_an_arabic_journey_has_no_english_sentence(sqlite_store: Store) -> None:
    """Reasons of checks, outcomes, endings of sessions: all are told in the reader's language."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            talk = await talk_to_receiver(sqlite_store)
            forged = (
                b"From: IT Support <it@paypa1.example>\r\nReply-To: a@gmail.com\r\n"
                b"DKIM-Signature: v=1; a=rsa-sha1; d=b.test; s=x; h=from; bh=; b=\r\n"
                b"Subject: two\r\n\r\nLog in now: http://203.0.113.7/in\r\n"
            )
            assert (await talk.send("a@b.test", ["amal@north.test"], forged)).startswith("250 ")
            found = sqlite_store.read_now(lambda conn: find_mails(conn, MailQuery()))
            mail_id = found[0].mail_id
            events = (
                RouteFailed(NOW_MS, "b.test", True, "DNS lookup of b.test failed",
                            ("MX b.test -> timeout", "MX c.test -> no such name")),
                AttemptMade(NOW_MS, "b.test", "192.0.2.1:25", "TLSv1.3, certificate verified",
                            ("S: 220 ready for mail", "C: EHLO x"), "1 delivered, 1 failed"),
                CheckDone(NOW_MS, "dkim", "permerror", "No key was found at x._domainkey.b.test.",
                          ("TXT x._domainkey.b.test -> no such name",)),
                CheckDone(NOW_MS, "arc", "fail", "There is no key for the seal of ARC set 1: "
                          "the key was revoked.", ()),
                CheckDone(NOW_MS, "format", "remarks", "The message has no Date field. "
                          "The message has no Message-ID field.", ()),
                MailboxFiled(NOW_MS, "amal@north.test", "amal@north.test", "Junk",
                             "The message has a link to زاجل.a.test "
                             "(xn--mgbkq8e.a.test), which resembles زاجل.test."),
                DsnSuppressed(NOW_MS, "The sender does not exist on this server."),
                SessionClosed(NOW_MS, "peer closed", 1),
            )  # fmt: skip
            await site.store.write(record_events, EventBatch(None, mail_id, NOW_MS, events))
            arabic = site.browser(**{"accept-language": "ar"})
            await arabic.log_in("amal")
            page = await arabic.get(f"/journey/{mail_id}")
            assert "أغلقه الطرف الآخر" in page.text
            assert "تم التحقق من الشهادة" in page.text
            assert left_in_english(page.text) == []
            amal_id = site.entry("amal").account_id
            junk = sqlite_store.read_now(lambda conn: find_role(conn, amal_id, "junk"))
            assert junk is not None
            page = await arabic.get(f"/mail/{junk.mailbox_id}/1")
            reasons = page.text.partition('class="reasons">')[2].partition("</ul>")[0]
            assert "<li>" in reasons
            assert left_in_english(f"<main>{reasons}</main>") == []
            english = await (await member(site, "amal")).get(f"/journey/{mail_id}")
            assert "No key was found at x._domainkey.b.test." in english.text
            assert len(left_in_english(english.text)) > 20

    asyncio.run(scenario())
