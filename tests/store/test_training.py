"""What users say of their mail is noted with the move, learned once, and can be unlearned."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from kit.store import NOW_MS, make_account, running
from zajil.check.learned.lessons import FREE_SHARE, ShareRule
from zajil.core.directory import AccountEntry
from zajil.core.feedback import FeedbackKind
from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.store.engine.open import Store
from zajil.store.engine.writer import Unit
from zajil.store.feedback.training import (
    INSTALLATION,
    Lesson,
    find_trained,
    learn,
    list_models,
    load_words,
)
from zajil.store.feedback.training_bounds import Bounds, prune_words
from zajil.store.feedback.training_queue import Feedback, TrainingClaim, claim_training
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.mailbox_changes import NewMailbox, create_mailbox
from zajil.store.mail.mailboxes import find_mailbox
from zajil.store.mail.message_changes import (
    PutMessage,
    put_messages,
)
from zajil.store.mail.message_copies import (
    Copied,
    CopyMessages,
    copy_messages,
    move_messages,
)
from zajil.store.people.accounts import delete_account
from zajil.store.schema import trained, training, word, word_model


def box(store: Store, who: AccountEntry, name: str) -> MailboxId:
    found = store.read_now(lambda conn: find_mailbox(conn, who.account_id, name))
    assert found is not None
    return found.mailbox_id


def put(store: Store, who: AccountEntry, name: str = "INBOX") -> Uid:
    content = store.blobs.stage([b"Subject: pills\r\n\r\nbuy\r\n"])
    item = PutMessage(who.account_id, box(store, who, name), content, frozenset(), NOW_MS)
    return store.write_now(put_messages, item).uid


def queue(store: Store) -> list[str]:
    return list(store.read_now(lambda conn: conn.scalars(sa.select(training.c.kind)).all()))


def take(store: Store) -> list[str]:
    """Empty the queue."""
    taken = store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000))
    for said in taken:
        store.write_now(
            learn,
            lesson(
                said.account_id, said.blob_id, True, kind=said.kind, lease_until_ms=NOW_MS + 1000
            ),
        )
    return [said.kind for said in taken]


def words(store: Store, account_id: int) -> dict[str, tuple[int, int]]:
    rows = store.read_now(lambda conn: load_words(conn, AccountId(account_id)))
    return {name: (junk, ham) for name, junk, ham in rows if junk or ham}


def lesson(account: int, blob: str, is_junk: bool, *tokens: str, **more: object) -> Lesson:
    return Lesson(
        account_id=AccountId(account),
        blob_id=BlobId(blob),
        is_junk=is_junk,
        tokens=frozenset(tokens),
        may_share=ShareRule().permits,
        **more,  # type: ignore[arg-type]
    )


MOVES = [
    ("INBOX", "Junk", ["junk"]),
    ("Junk", "INBOX", ["not_junk"]),
    ("Junk", "Archive", ["not_junk"]),
    ("Junk", "Trash", []),
    ("INBOX", "Archive", ["kept"]),
    ("INBOX", "Family", ["kept"]),
    ("INBOX", "Trash", []),
    ("Archive", "INBOX", []),
]
FLAGS = [
    ("INBOX", "$Junk", ["junk"]),
    ("INBOX", "Junk", ["junk"]),
    ("INBOX", "NonJunk", ["kept"]),
    ("INBOX", "\\Answered", ["replied"]),
    ("INBOX", "\\Seen", []),
    ("Junk", "$NotJunk", ["not_junk"]),
    ("Drafts", "\\Answered", []),
]


@pytest.mark.parametrize("unit", [move_messages, copy_messages])
def test_a_move_says_something(store: Store, unit: Unit[CopyMessages, Copied]) -> None:
    amal = make_account(store, "amal@north.test")
    store.write_now(create_mailbox, NewMailbox(amal.account_id, "Family", NOW_MS))
    for source, target, said in MOVES:
        uid = put(store, amal, source)
        source_id, target_id = box(store, amal, source), box(store, amal, target)
        store.write_now(unit, CopyMessages(amal.account_id, source_id, (uid,), target_id))
        assert take(store) == said, (source, target)


def test_a_flag_says_something(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    for where, flag, said in FLAGS:
        uid, flags = put(store, amal, where), frozenset({flag})
        change = FlagChange(amal.account_id, box(store, amal, where), (uid,), FlagMode.ADD, flags)
        store.write_now(change_flags, change)
        assert queue(store) == said, (where, flag)
        take(store)
        store.write_now(change_flags, change)  # again: nothing changes, nothing is said
        assert queue(store) == []


def test_the_last_word_counts_and_is_learned_after_the_lease(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    uid = put(store, amal)
    inbox, junk = box(store, amal, "INBOX"), box(store, amal, "Junk")
    there = CopyMessages(amal.account_id, inbox, (uid,), junk)
    moved = store.write_now(move_messages, there).uids[0][1]
    (said,) = store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000))
    assert said.kind == "junk"
    assert store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000)) == ()
    # Meanwhile it is moved back: what is being learned must not take that out of the queue.
    store.write_now(move_messages, CopyMessages(amal.account_id, junk, (moved,), inbox))
    done = lesson(
        said.account_id, said.blob_id, True, "buy", kind="junk", lease_until_ms=NOW_MS + 1000
    )
    assert store.write_now(learn, done)
    assert queue(store) == ["not_junk"]
    (again,) = store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 2000))
    assert again == Feedback(amal.account_id, said.blob_id, None, FeedbackKind.NOT_JUNK)
    back = lesson(
        said.account_id,
        said.blob_id,
        False,
        "buy",
        kind=FeedbackKind.NOT_JUNK,
        lease_until_ms=NOW_MS + 2000,
    )
    assert store.write_now(learn, back)
    assert queue(store) == []
    assert words(store, amal.account_id) == {"buy": (0, 1)} == words(store, INSTALLATION)


@pytest.mark.parametrize("source", ["INBOX", "Junk"])
def test_what_is_undone_is_unlearned(store: Store, source: str) -> None:
    """Before it was learned, nothing is; afterwards it is as if it had never been."""
    amal = make_account(store, "amal@north.test")
    target = "Junk" if source == "INBOX" else "INBOX"
    here, there = box(store, amal, source), box(store, amal, target)
    uid = put(store, amal, source)
    moved = store.write_now(move_messages, CopyMessages(amal.account_id, here, (uid,), there))
    assert len(queue(store)) == 1
    back = CopyMessages(amal.account_id, there, (moved.uids[0][1],), here, is_undo=True)
    uid = store.write_now(move_messages, back).uids[0][1]
    assert queue(store) == []
    # Now somebody is learning it already.
    moved = store.write_now(move_messages, CopyMessages(amal.account_id, here, (uid,), there))
    (said,) = store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000))
    back = CopyMessages(amal.account_id, there, (moved.uids[0][1],), here, is_undo=True)
    store.write_now(move_messages, back)
    assert queue(store) == [f"unsaid_{said.kind}"]
    is_junk = target == "Junk"
    assert store.write_now(learn, lesson(said.account_id, said.blob_id, is_junk, "buy"))
    assert words(store, amal.account_id)
    undo = lesson(said.account_id, said.blob_id, is_junk, "buy", is_undo=True)
    assert store.write_now(learn, undo)
    assert words(store, amal.account_id) == {} == words(store, INSTALLATION)
    assert store.read_now(lambda conn: find_trained(conn, said.account_id, said.blob_id)) is None
    assert not store.write_now(learn, undo)
    # What was learned since is not what was undone.
    store.write_now(learn, lesson(said.account_id, said.blob_id, not is_junk, "buy"))
    assert not store.write_now(learn, undo)
    assert words(store, amal.account_id)


def test_a_mail_teaches_once(store: Store) -> None:
    assert store.write_now(learn, lesson(7, "b1", True, "a", "b"))
    assert not store.write_now(learn, lesson(7, "b1", True, "a", "b"))
    assert not store.write_now(learn, lesson(7, "b1", False, "a", "b", is_weak=True))
    assert not store.write_now(learn, lesson(7, "b2", True))
    assert words(store, 7) == {"a": (1, 0), "b": (1, 0)} == words(store, 0)
    (state,) = [one for one in store.read_now(lambda c: list_models(c, 0)) if one.account_id == 7]
    assert (state.junk, state.ham, state.version) == (1, 0, 1)


def test_no_account_spoils_the_words_of_the_installation(store: Store) -> None:
    """Attack: one account calls thousands of mails something they are not."""
    for number in range(60):
        store.write_now(learn, lesson(7, f"b{number}", False, "casino"))
    assert words(store, 7) == {"casino": (0, 60)}
    assert words(store, 0) == {"casino": (0, FREE_SHARE)}
    for number in range(200):
        store.write_now(learn, lesson(0, f"c{number}", False, "meeting"))
    for number in range(60, 200):
        store.write_now(learn, lesson(7, f"b{number}", False, "casino"))
    # A fifth of what the installation knows.
    assert words(store, 0)["casino"][1] <= 56


def test_unlearning_never_counts_below_zero(store: Store) -> None:
    store.write_now(learn, lesson(7, "b1", True, "old"))
    store.write_now(learn, lesson(7, "b1", False, "new", "old", "more"))
    assert words(store, 7) == {"old": (0, 1), "new": (0, 1), "more": (0, 1)}


def test_what_is_learned_together_is_learned_as_one_by_one(store: Store) -> None:
    """Also of one mail of which two things were said, and for two accounts."""
    lessons = [
        lesson(7, "b1", True, "pills", "cheap"),
        lesson(7, "b2", False, "lunch"),
        lesson(8, "b1", False, "pills"),
        lesson(7, "b1", False, "pills", "cheap"),
        lesson(7, "b2", True, "lunch", is_weak=True),
        lesson(8, "b3", True),
    ]

    async def together() -> list[bool]:
        async with running(store):
            before = store.writer.commits
            learned = await asyncio.gather(*[store.write(learn, one) for one in lessons])
            assert store.writer.commits == before + 1
            return learned

    def found() -> list[object]:
        kept = sa.select(trained).order_by(trained.c.account_id, trained.c.blob_id)
        rows = store.read_now(lambda conn: [tuple(row) for row in conn.execute(kept)])
        states = store.read_now(lambda conn: list_models(conn, 0))
        counts = [(one.account_id, one.junk, one.ham) for one in states]
        return [rows, sorted(counts), words(store, 0), words(store, 7), words(store, 8)]

    one_by_one = [store.write_now(learn, one) for one in lessons]
    first = found()
    assert words(store, 7) == {"pills": (0, 1), "cheap": (0, 1), "lunch": (0, 1)}
    with store._dialect.writer.begin() as conn:
        for table in (word, word_model, trained):
            conn.execute(sa.delete(table))
    assert asyncio.run(together()) == one_by_one == [True, True, True, True, False, False]
    assert found() == first


def test_many_are_claimed_and_forgotten_at_once(store: Store) -> None:
    """What is said meanwhile of one of them counts, and waits for its turn."""
    amal = make_account(store, "amal@north.test")
    uids = tuple(put(store, amal) for _ in range(5))
    junk = CopyMessages(amal.account_id, amal.inbox, uids, box(store, amal, "Junk"))
    store.write_now(copy_messages, junk)
    due = store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000))
    assert [one.kind for one in due] == [FeedbackKind.JUNK] * 5
    assert store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000)) == ()
    store.write_now(
        copy_messages, CopyMessages(junk.account_id, amal.inbox, uids[:1], junk.target_id)
    )

    def learn_all(tx: sa.Connection, items: Sequence[Sequence[Lesson]]) -> list[list[bool]]:
        return [learn(tx, lessons) for lessons in items]

    lessons = [
        lesson(one.account_id, one.blob_id, True, "x", kind=one.kind, lease_until_ms=NOW_MS + 1000)
        for one in due
    ]
    assert store.write_now(learn_all, lessons) == [True] * 5
    assert queue(store) == ["junk"]


def test_an_account_takes_what_it_taught_along(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    make_account(store, "omar@north.test")
    store.write_now(learn, lesson(amal.account_id, "b1", True, "secret", "pills"))
    store.write_now(learn, lesson(0, "b2", True, "pills"))
    put(store, amal)
    store.write_now(delete_account, amal.account_id)
    assert words(store, 0) == {"pills": (1, 0)}
    for table in (word, word_model, trained, training):
        left = store.read_now(
            lambda conn, table=table: conn.scalars(sa.select(table.c.account_id)).all()  # type: ignore[misc]
        )
        assert amal.account_id not in left


def test_the_rarest_words_are_forgotten(store: Store) -> None:
    for number in range(3):
        store.write_now(learn, lesson(7, f"b{number}", True, "often", f"once{number}"))
    store.write_now(learn, lesson(7, "b9", True, *[f"x{number}" for number in range(20)]))
    assert store.write_now(prune_words, Bounds(100, 10)) == 15
    assert len(words(store, 7)) == 9
    assert words(store, 7)["often"] == (3, 0)
    assert len(words(store, 0)) == 24
