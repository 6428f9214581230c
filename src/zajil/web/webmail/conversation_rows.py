"""The list of a mailbox as conversations: which rows a page has, and who is named in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zajil.core.ids import ThreadId, Uid
from zajil.login.account import Account
from zajil.message.header_view import Person
from zajil.read.indexer import ListPage, complete_page
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.conversation_list import (
    ConversationFacts,
    count_conversations,
    find_facts,
    newest_conversations,
)
from zajil.web.webmail.mailboxes import Box

MOST_COUNTED = 20_000
"""Messages of a mailbox; in a larger one it takes too long to count conversations for each page."""
_MOST_PEOPLE = 3
_NOT_ALONE = frozenset(
    (
        "abd",
        "abdel",
        "abdul",
        "abu",
        "al",
        "dr",
        "dr.",
        "umm",
        "عبد",
        "أبو",
        "ابو",
        "أم",
        "ام",
        "د.",
    )
)
"""First words of names that say nothing without the second."""


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who wrote in a conversation, as a row names them."""

    label: str
    """A name, or an address; ``""``: the reader."""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """The rows of a page, and where they are among all."""

    page: ListPage
    """The newest message of each conversation."""
    facts: dict[ThreadId, ConversationFacts]
    total: int | None
    """Conversations of the mailbox; ``None``: too many to be counted."""
    has_newer: bool
    has_older: bool


def read_conversations(
    conn: Snapshot,
    store: Store,
    account: Account,
    box: Box,
    limit: int,
    before: Uid | None,
    after: Uid | None,
) -> ConversationPage:
    """Read one page of conversations. A query: ``store.read`` runs it.

    Args:
        conn: a snapshot.
        store: whose blobs are read where a summary is missing.
        account: who reads.
        box: a mailbox that the account may read.
        limit: rows of a page.
        before: only conversations whose newest message has a smaller UID.
        after: those with a larger one, the nearest.
    """
    mailbox_id = box.mailbox_id
    found = newest_conversations(conn, mailbox_id, limit + 1, before=before, after=after)
    has_more = len(found) > limit
    if after is not None:
        rows = found[-limit:]
        has_newer, has_older = has_more, bool(rows)
    else:
        rows = found[:limit]
        has_newer, has_older = before is not None and bool(rows), has_more
    threads = [row.thread_id for row, _ in rows if row.thread_id is not None]
    owner = None if box.mailbox.is_shared else account.account_id
    facts = find_facts(conn, owner, mailbox_id, threads) if threads else {}
    page = complete_page(conn, store.blobs, rows)
    is_countable = box.messages <= MOST_COUNTED
    total = count_conversations(conn, mailbox_id) if is_countable else None
    return ConversationPage(page, facts, total, has_newer, has_older)


def name_authors(people: Iterable[Person], account: Account) -> tuple[Author, ...]:
    """Return who is named in a row: the first and the last ones, several by their first names."""
    own = {one.unicode.casefold() for one in account.own_addresses}
    every = list(people)
    named = every if len(every) <= _MOST_PEOPLE else [every[0], *every[1 - _MOST_PEOPLE :]]
    shown: Callable[[Person], str] = _first_name if len(every) > 1 else lambda one: one.label
    return tuple(
        Author("")
        if one.address.casefold() in own
        # Security: a name that poses as an address gives way to the address that it belongs to.
        else Author(one.address if one.poses_as_address else shown(one))
        for one in named
    )


def _first_name(one: Person) -> str:
    words = one.name.split()
    if len(words) < 2 or words[0].endswith(","):
        return one.label
    return " ".join(words[: 2 if words[0].casefold() in _NOT_ALONE else 1])
