"""Recipients become copies: one for each account, later ones as rows of the queue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zajil.accept.plan import Addressed, Copies, Plan, plan_copies
from zajil.core.address import Address, parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId, MailboxId
from zajil.core.mail_options import PLAIN_RECIPIENT, Notify, RecipientOptions
from zajil.route.recipient import Local, Remote
from zajil.store.mail.intake import Place, WaitReason
from zajil.tracking.events import AliasExpanded, MailboxFiled, RecipientQueued

NOW_MS, LIFETIME_MS = 1_000, 50_000
WRITER = parse_address("writer@west.test")
TEAM = parse_address("team@north.test")
ASKING = RecipientOptions(Notify.SUCCESS | Notify.FAILURE, "rfc822;team@north.test")
ASKED_BEFORE = RecipientOptions(Notify.FAILURE, "rfc822;team@north.test")


def account(number: int) -> AccountEntry:
    address = parse_address(f"u{number}@north.test")
    inbox, junk = MailboxId(number * 10), MailboxId(number * 10 + 1)
    return AccountEntry(
        account_id=AccountId(number), address=address, inbox=inbox, junk=junk, active=True
    )


def plan(
    *recipients: Addressed,
    reverse_path: Address | None = WRITER,
    junk: str | None = None,
    release_ms: int | None = None,
) -> Copies:
    return plan_copies(
        recipients,
        Plan(
            reverse_path=reverse_path,
            now_ms=NOW_MS,
            lifetime_ms=LIFETIME_MS,
            why_junk=junk,
            release_ms=release_ms,
        ),
    )


def local(number: int, options: RecipientOptions = PLAIN_RECIPIENT) -> Addressed:
    entry = account(number)
    return Addressed(entry.address, Local((entry,)), options)


def test_a_plain_copy_lies_in_its_mailbox_at_once() -> None:
    copies = plan(local(1))
    (copy,) = copies.local
    assert (copy.places, copy.wait) == ((Place(MailboxId(10), "INBOX"),), None)
    assert copy.options is PLAIN_RECIPIENT
    assert copy.prefix == "Return-Path: <writer@west.test>\r\nDelivered-To: u1@north.test\r\n"
    (event,) = copies.events
    assert isinstance(event, MailboxFiled)


def test_junk_is_filed_as_junk_with_its_reason() -> None:
    copies = plan(local(1), junk="The message has more than one From field.")
    (copy,), (event,) = copies.local, copies.events
    assert copy.places == (Place(MailboxId(11), "Junk"),)
    assert isinstance(event, MailboxFiled)
    assert event.reason == "The message has more than one From field."


def test_one_account_gets_one_copy() -> None:
    entry = account(1)
    team = Addressed(TEAM, Local((entry, account(2)), via=(TEAM,)))
    copies = plan(team, local(1))
    assert [(str(copy.recipient), copy.account_id, copy.is_repeated) for copy in copies.local] == [
        ("team@north.test", 1, False),
        ("team@north.test", 2, False),
        ("u1@north.test", 1, True),
    ]


def test_what_leads_elsewhere_is_queued_once() -> None:
    there = parse_address("a@south.test")
    copies = plan(Addressed(there, Remote(there)), Addressed(there, Remote(there)))
    (copy,) = copies.remote
    assert (copy.next_hop, copy.next_try_ms, copy.expires_ms) == ("south.test", 1_000, 51_000)
    assert copy.addressed_as is None


def test_the_sender_named_the_alias_and_not_its_target() -> None:
    there = parse_address("secret@south.test")
    copies = plan(Addressed(TEAM, Local((), (there,), (TEAM,))))
    (copy,) = copies.remote
    assert (copy.recipient, copy.addressed_as) == (there, TEAM)
    assert isinstance(copies.events[0], AliasExpanded)


def test_a_future_release_waits_and_lives_from_then_on() -> None:
    """RFC 4865: the copy of ours is a row of the queue, and expiry counts from the release."""
    there = parse_address("a@south.test")
    copies = plan(local(1), Addressed(there, Remote(there)), release_ms=9_000)
    assert copies.local[0].wait == WaitReason(9_000, 59_000)
    assert (copies.remote[0].next_try_ms, copies.remote[0].expires_ms) == (9_000, 59_000)
    assert [type(event) for event in copies.events] == [RecipientQueued, RecipientQueued]


def test_whoever_wants_to_hear_of_delivery_hears_it_from_the_queue() -> None:
    """RFC 3461 section 5.2.3."""
    copies = plan(local(1, ASKING), local(2, ASKED_BEFORE))
    assert [copy.wait for copy in copies.local] == [WaitReason(NOW_MS, NOW_MS + LIFETIME_MS), None]


def test_the_null_path_hears_nothing() -> None:
    copies = plan(local(1, ASKING), reverse_path=None)
    assert copies.local[0].wait is None


def test_one_success_for_one_address_that_the_sender_named() -> None:
    there = parse_address("a@south.test")
    team = Addressed(TEAM, Local((account(1), account(2)), (there,), (TEAM,)), ASKING)
    copies = plan(team)
    assert [copy.options for copy in copies.local] == [ASKING, ASKED_BEFORE]
    assert [copy.options for copy in copies.remote] == [ASKED_BEFORE]


def test_nobody_is_told_of_success_where_it_looks_like_junk() -> None:
    """Attack: a forged sender would get a report for each letter in somebody's Junk."""
    copies = plan(local(1, ASKING), junk="The message has more than one From field.")
    assert copies.local[0].wait is None


@pytest.mark.parametrize("alias_first", [False, True])
def test_what_leads_to_one_address_elsewhere_is_told_as_either_asked(alias_first: bool) -> None:
    """Named itself and by an alias: one copy, under the name that the sender knows, and told."""
    there = parse_address("a@south.test")
    direct = Addressed(there, Remote(there))
    alias = Addressed(TEAM, Local((), (there,), (TEAM,)), ASKING)
    (copy,) = plan(*((alias, direct) if alias_first else (direct, alias))).remote
    assert copy.addressed_as is None
    assert copy.options.notify == Notify.SUCCESS | Notify.FAILURE


def test_nobody_is_told_of_failures_where_junk_was_forwarded() -> None:
    """Backscatter: the next server refuses it too, and the sender was never the sender."""
    there = parse_address("a@south.test")
    team = Addressed(TEAM, Local((account(1),), (there,), (TEAM,)), ASKING)
    copies = plan(team, junk="The message has more than one From field.")
    assert [copy.options.notify for copy in copies.remote] == [Notify.NEVER]
    assert [copy.options.notify for copy in plan(team).remote] == [Notify.FAILURE]


def test_a_second_address_is_not_delivered_before_the_copy_is() -> None:
    entry = account(1)
    second = Addressed(TEAM, Local((entry,)), PLAIN_RECIPIENT)
    copies = plan(local(1, ASKING), second)
    assert [copy.wait for copy in copies.local] == [WaitReason(NOW_MS, NOW_MS + LIFETIME_MS)] * 2
    assert [copy.is_repeated for copy in copies.local] == [False, True]
    assert [type(event) for event in copies.events] == [RecipientQueued, RecipientQueued]


def test_a_second_address_alone_may_ask_to_be_told() -> None:
    """RFC 3461 section 5.2.3: its row waits, although the copy is there already."""
    alias = Addressed(TEAM, Local((account(1), account(2)), via=(TEAM,)), ASKING)
    copies = plan(local(1), local(2), alias)
    assert [copy.wait is None for copy in copies.local] == [True, True, False]
    last = copies.local[-1]
    assert (last.recipient, last.is_repeated, last.options) == (TEAM, True, ASKING)


def test_an_account_that_judges_otherwise_has_its_own_mailbox() -> None:
    junk_by_account = {AccountId(2): "You moved such mail to Junk.", AccountId(3): None}
    mail = Plan(
        reverse_path=WRITER,
        now_ms=NOW_MS,
        lifetime_ms=LIFETIME_MS,
        junk_by_account=junk_by_account,
    )
    copies = plan_copies([local(1), local(2), local(3)], mail)
    assert [copy.mailbox_name for copy in copies.local] == ["INBOX", "Junk", "INBOX"]
    junk = replace(mail, why_junk="It is junk.")
    assert [copy.mailbox_name for copy in plan_copies([local(1), local(3)], junk).local] == [
        "Junk",
        "INBOX",
    ]


def test_phishing_is_marked_where_it_is_filed_as_junk() -> None:
    """RFC 9051 section 2.3.2: the reader's program warns of it."""
    mail = Plan(
        reverse_path=WRITER,
        now_ms=NOW_MS,
        lifetime_ms=LIFETIME_MS,
        why_junk="The message asks for a password.",
        junk_by_account={AccountId(2): None},
        is_phishing=True,
    )
    copies = plan_copies([local(1), local(2)], mail)
    assert [(copy.mailbox_name, copy.places[0].flags) for copy in copies.local] == [
        ("Junk", frozenset({"$Phishing"})),
        ("INBOX", frozenset()),
    ]
    plain = plan_copies([local(1)], replace(mail, is_phishing=False))
    assert plain.local[0].places[0].flags == frozenset()
