"""SEARCH. (RFC 3501 section 6.4.4, RFC 4731)

Cheap keys first: what the table of messages and the days of their Date fields decide is decided of
many messages at once (``matcher``); only what is left is read.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import cast

from zajil.core.ids import Uid
from zajil.core.value_class import value_class
from zajil.imap.feature import Feature
from zajil.imap.grammar import bad
from zajil.imap.response import Completion
from zajil.imap.search_command import Result, Returns, Search
from zajil.imap.search_key import SearchKey, has_mod_seq
from zajil.imap.search_parse import CHARSETS
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import Context
from zajil.read.imap.field_hits import decide_fields
from zajil.read.imap.header_values import DAYS, FILES, header_values
from zajil.read.imap.matcher import Matcher, SearchedMailbox
from zajil.read.imap.object_id import give_all_threads
from zajil.read.imap.search_answer import FoundMessages, SearchAnswer, write_answer, write_numbers
from zajil.read.imap.search_context import SearchContext
from zajil.read.imap.search_text import MessageText
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.read.imap.text_hits import find_scores, narrow
from zajil.store.engine.errors import StoreError
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.message_table import MessageTable
from zajil.store.mail.messages import Message, get_messages, open_messages

_ROWS = 500
"""Messages that have to be read, and are looked up at a time."""
_PROGRESS_MS = 10_000
"""RFC 9585 section 3: how often a client is told how far a search is."""


async def search(context: Context, command: Search) -> Completion:
    """Send what is asked of the messages for which the key holds."""
    view = context.selected
    saves = command.returns is not None and Result.SAVE in command.returns.results
    refusal = refuse_charset(context, command.charset)
    if refusal is not None:
        if saves:
            view.saved = array("I")
        return refusal
    if has_mod_seq(command.key):
        enable_condstore(context)
    try:
        found = await find(context, scope_of(view), command.key)
    except StoreError:
        if saves:  # RFC 5182 section 2.1: with NO nothing is saved
            view.saved = array("I")
        raise
    modseq = has_mod_seq(command.key)
    returns = command.returns
    if returns is None and Feature.IMAP4REV2 not in context.engine.enabled:
        await write_numbers(context, b"SEARCH", found, found.uids, uid=command.uid, modseq=modseq)
    else:
        returns = returns or Returns(frozenset({Result.ALL}))
        scores = None
        if Result.RELEVANCY in returns.results:
            scores = await find_scores(context, scope_of(view), found, command.key)
        answer = SearchAnswer(
            uids=found.uids, returns=returns, uid=command.uid, modseq=modseq, scores=scores
        )
        await write_answer(context, answer, found.table)
        if saves:
            view.saved = await context.work(answer.saved)
    return Completion("OK", "search is done")


def refuse_charset(
    context: Context, charset: str, *, is_required: bool = False
) -> Completion | None:
    """Refuse a charset that is not known; ``None``: it is.

    Args:
        context: of the session.
        charset: in capitals; empty: none was named.
        is_required: the command has to name one.

    Raises:
        BadSyntax: BAD, this charset is not for this session (RFC 9755 section 3, where the erratum
            4029 of its predecessor leaves UTF-8 to the commands that have to name a charset).
    """
    allowed = {"", "UTF-8"} if is_required else {""}
    if Feature.UTF8_ACCEPT in context.engine.enabled and charset not in allowed:
        raise bad("CHARSET is not used together with UTF8=ACCEPT")
    if charset and charset not in CHARSETS:
        code = f"BADCHARSET ({' '.join(CHARSETS)})"
        return Completion("NO", "charset is not supported", code)
    return None


def scope_of(view: SelectedMailbox) -> SearchedMailbox:
    """Return the selected mailbox as what is searched."""
    return SearchedMailbox(
        account_id=view.account_id,
        mailbox_id=view.mailbox.mailbox_id,
        uids=view.uids,
        saved=view.saved,
        recent=view.recent,
    )


async def find(
    context: SearchContext, scope: SearchedMailbox, key: SearchKey, *, of_many: bool = False
) -> FoundMessages:
    """Return the messages for which a key holds.

    Many short turns: others of the account and other accounts read in between, and a client that
    is gone ends the search.

    Args:
        context: of the session.
        scope: what is searched.
        key: what must hold.
        of_many: it is one of several mailboxes that are searched.

    Raises:
        NoSuchMailbox: the mailbox is gone.
        StoreUnavailable: the database cannot be read now.
    """
    begun = await _begin(context, scope, key)
    matcher, table, end = begun.matcher, begun.table, begun.end
    if matcher.needs_threads:
        await give_all_threads(context, scope.mailbox_id)
    if matcher.needs_days:
        matcher.days = await header_values(context, scope.mailbox_id, table.uids, DAYS)
    if matcher.needs_files:
        matcher.uids = table.uids
        matcher.files = await header_values(context, scope.mailbox_id, table.uids, FILES)
    # After the table: whatever is in it is in the index by now, or is known not to be.
    await narrow(context, scope, matcher)
    found, progress = array("I"), _Progress(context, None if of_many else end)
    for start in range(0, end, matcher.chunk_size):
        stop = min(end, start + matcher.chunk_size)
        if start or begun.looked is None:
            sure, unsure = await context.work(lambda: matcher.look(table, start, stop))  # noqa: B023
        else:
            sure, unsure = begun.looked
        if unsure and await decide_fields(context, scope, matcher, unsure):
            sure, unsure = await context.work(lambda: matcher.look(table, start, stop))  # noqa: B023
        if unsure:
            read = await _read(context, scope, matcher, unsure, progress)
            sure = array("I", sorted([*sure, *read])) if sure else read
        found.extend(sure)
        await context.pause()
    return FoundMessages(found, table)


@value_class(frozen=True, slots=True)
class _Begun:
    """A search that has begun."""

    matcher: Matcher
    table: MessageTable
    end: int
    """Messages of the table, from the first on, that the client counts."""
    looked: tuple[array[int], array[int]] | None
    """What ``Matcher.look`` says of the first ones; ``None``: more has to be known for that."""


async def _begin(context: SearchContext, scope: SearchedMailbox, key: SearchKey) -> _Begun:
    """Prepare a search; one by what the table has is mostly decided in this one turn."""
    now_ms, tables = context.clock.now_ms(), context.store.tables

    def begin(conn: Snapshot) -> _Begun:
        matcher = Matcher(scope, key, now_ms)
        table = tables.current(conn, scope.account_id, scope.mailbox_id)
        # Messages that came since the client was told of any are not among those it counts.
        end = bisect_right(table.uids, scope.uids[-1]) if scope.uids else 0
        looked = None
        if not (matcher.texts or matcher.needs_threads or matcher.needs_columns):
            looked = matcher.look(table, 0, min(end, matcher.chunk_size))
        return _Begun(matcher, table, end, looked)

    return await context.read(begin)


async def _read(
    context: SearchContext,
    scope: SearchedMailbox,
    matcher: Matcher,
    uids: Sequence[int],
    progress: _Progress,
) -> array[int]:
    """Return those of the messages for which the key holds; each of them is read."""
    found = array("I")
    for start in range(0, len(uids), _ROWS):
        wanted = cast("Sequence[Uid]", uids[start : start + _ROWS])
        rows: Sequence[Message] = await context.read(
            lambda conn: get_messages(conn, scope.mailbox_id, wanted)  # noqa: B023
        )
        while rows:
            some, rows = matcher.cut(rows)
            found.extend(await context.read(lambda conn: _read_some(context, conn, matcher, some)))  # noqa: B023
            progress.tell(some[-1].uid, scope.uids)
            await context.pause()
    return found


def _read_some(
    context: SearchContext, conn: Snapshot, matcher: Matcher, rows: Sequence[Message]
) -> list[Uid]:
    """Return the UIDs of those for which the key holds; runs in a reader thread."""
    found: list[Uid] = []
    for row, reader in open_messages(conn, context.store.blobs, rows):
        if reader is None:
            continue  # it was expunged since
        with reader:
            if matcher.holds(row, MessageText(reader)):
                found.append(row.uid)
    return found


class _Progress:
    """Tells the client how far a long search is. (RFC 9585)"""

    def __init__(self, context: SearchContext, total: int | None) -> None:
        """Begin to count.

        Args:
            context: of the session.
            total: messages that are looked at; ``None``: it is not known.
        """
        self._context = context
        self._total = total
        self._next_ms = context.clock.now_ms() + _PROGRESS_MS

    def tell(self, uid: int, uids: Sequence[int]) -> None:
        """Tell it, if it is time.

        Args:
            uid: of the message that was read last.
            uids: of all messages, ascending.
        """
        now_ms = self._context.clock.now_ms()
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms + _PROGRESS_MS
        done = 0 if self._total is None else bisect_right(uids, uid)
        self._context.tell_progress(done, self._total)
