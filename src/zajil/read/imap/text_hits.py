"""What the index of words says about the texts of a search, exact or FUZZY. (RFC 6203)"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from zajil.imap.search_key import (
    BodyHas,
    ContentHas,
    HeaderHas,
    RecipientHas,
    SearchKey,
    TextKey,
    fuzzy_texts,
)
from zajil.message.casemap import casemap
from zajil.message.word_query import WordQuery
from zajil.read.imap.field_hits import is_kept
from zajil.read.imap.header_values import DISPLAY_FROM, SUBJECTS, header_values
from zajil.read.imap.matcher import Matcher, SearchedMailbox
from zajil.read.imap.search_answer import FoundMessages
from zajil.read.imap.search_context import SearchContext
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.text_cache import TextCache
from zajil.store.mail.text_lookup import (
    SearchScope,
    TextHits,
    find_hits,
    find_with_words,
    joined,
    look_up_words,
)

R = TypeVar("R")

LOOK_UPS = 20
"""Texts of one search that are looked up in the index; the others are only looked for."""
_SCOPES = {
    b"subject": SearchScope.SUBJECT,
    b"from": SearchScope.SENDER,
    b"to": SearchScope.RECIPIENT,
    b"cc": SearchScope.RECIPIENT,
    b"bcc": SearchScope.RECIPIENT,
}
_IN_SUBJECT, _IS_EXACT, _IN_SENDER = 3, 2, 1
"""Points for where a text stands, and for standing there as it was asked for."""


async def narrow(context: SearchContext, scope: SearchedMailbox, matcher: Matcher) -> None:
    """Let the index say which messages have the texts that are looked for, or may have them."""
    keys = [
        key
        for key in matcher.texts[:LOOK_UPS]
        if key.text and (id(key) in matcher.fuzzy or not _is_quick(context, scope, key))
    ]
    if len(keys) > 1:
        terms = [(key.text, _scope_of(key)) for key in keys]
        mailbox_id = scope.mailbox_id
        await _read(
            context, scope, lambda conn, cache: look_up_words(conn, mailbox_id, terms, cache)
        )
        await context.pause()
    for key in keys:
        query = matcher.fuzzy.get(id(key))
        hits = await _look_up(context, scope, key)
        if hits is not None and query is not None:
            hits = await _with_words(context, scope, query, hits)
        if hits is not None:
            matcher.hits[id(key)] = hits
        await context.pause()


def _is_quick(context: SearchContext, scope: SearchedMailbox, key: TextKey) -> bool:
    """Return whether nothing is as quick as looking through the fields: the index has very many
    words of such fields.
    """
    is_field = isinstance(key, HeaderHas) and _scope_of(key) is SearchScope.FIELD
    return is_field and is_kept(context, scope, cast("HeaderHas", key))


async def _look_up(context: SearchContext, scope: SearchedMailbox, key: TextKey) -> TextHits | None:
    mailbox_id, where = scope.mailbox_id, _scope_of(key)
    return await _read(
        context, scope, lambda conn, cache: find_hits(conn, mailbox_id, key.text, where, cache)
    )


async def _read(
    context: SearchContext,
    scope: SearchedMailbox,
    query: Callable[[Snapshot, TextCache], R],
) -> R:
    """Ask the index as it was when the last message of the mailbox was there, or later."""
    last_uid = scope.uids[-1] if scope.uids else 0
    account_id = context.account.account_id
    return await context.store.read_index(scope.mailbox_id, last_uid, query, account_id)


def _scope_of(key: TextKey) -> SearchScope:
    match key:
        case HeaderHas(name):
            return _SCOPES.get(name, SearchScope.FIELD)
        case BodyHas():
            return SearchScope.BODY
        case ContentHas():
            return SearchScope.CONTENT
        case RecipientHas():
            return SearchScope.ANY_RECIPIENT
    return SearchScope.TEXT


async def _with_words(
    context: SearchContext, scope: SearchedMailbox, query: WordQuery, hits: TextHits
) -> TextHits:
    """Return the hits, and the messages that have all words of the text in any form of them."""
    mailbox_id = scope.mailbox_id
    words = await _read(
        context, scope, lambda conn, cache: find_with_words(conn, mailbox_id, query, cache)
    )
    return TextHits(joined(hits.possible, words), joined(hits.sure, words))


# ---- relevancy ----------------------------------------------------------------------------------


async def find_scores(
    context: SearchContext, scope: SearchedMailbox, found: FoundMessages, key: SearchKey
) -> dict[int, int]:
    """Return how relevant each message is, from 1 to 100. (RFC 6203 section 4)

    A text counts more in the subject, and where it stands as it was asked for.

    Args:
        context: of the session.
        scope: what was searched.
        found: in it.
        key: with FUZZY in it.
    """
    table = found.table
    subjects = await header_values(context, scope.mailbox_id, table.uids, SUBJECTS)
    senders = await header_values(context, scope.mailbox_id, table.uids, DISPLAY_FROM)
    points = array("I", bytes(4 * len(found.uids)))
    for one in fuzzy_texts(key)[:LOOK_UPS]:
        if not one.text:
            continue
        # After the columns: for these all messages are indexed.
        hits = await _look_up(context, scope, one)
        exact = frozenset[int](() if hits is None else hits.sure)

        def add() -> None:
            words = casemap(one.text).split()  # noqa: B023
            for at, place in enumerate(table.places_of(found.uids)):
                subject, sender = str(subjects[place]), str(senders[place])
                points[at] += _IN_SUBJECT * all(word in subject for word in words)
                points[at] += _IN_SENDER * all(word in sender for word in words)
                points[at] += _IS_EXACT * (table.uids[place] in exact)  # noqa: B023

        await context.work(add)
        await context.pause()
    return await context.work(lambda: _scale(found.uids, points))


def _scale(uids: Sequence[int], points: Sequence[int]) -> dict[int, int]:
    """Return scores in the whole range from 1 to 100."""
    low, high = min(points, default=0), max(points, default=0)
    if low == high:
        return dict.fromkeys(uids, 100)
    scores = [1 + 99 * (one - low) // (high - low) for one in points]
    return dict(zip(uids, scores, strict=True))
