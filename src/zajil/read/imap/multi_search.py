"""ESEARCH: one search through many mailboxes. (RFC 7377)"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from zajil.imap.grammar import bad
from zajil.imap.mailbox_name import SEPARATOR, is_shared_name
from zajil.imap.response import Completion, mailbox
from zajil.imap.search_command import MultiSearch, Range, Result, Returns, SearchSource
from zajil.imap.search_key import NumberIn, SearchKey, any_key, has_mod_seq
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import Context
from zajil.read.imap.mailbox_names import ListedName, load_names
from zajil.read.imap.matcher import SearchedMailbox
from zajil.read.imap.search import find, refuse_charset, scope_of
from zajil.read.imap.search_answer import AnsweredMailbox, FoundMessages, SearchAnswer, write_answer
from zajil.read.imap.text_hits import find_scores
from zajil.store.mail.access import NoRight
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import Mailbox

MAX_SEARCHED = 2000
"""Mailboxes that one command looks through: protects the work."""
_TOO_MANY = Completion("NO", "too many mailboxes to search", "LIMIT")


async def search_many(context: Context, command: MultiSearch) -> Completion:
    """Send an answer for each mailbox in which the key holds for a message."""
    _check(context, command)
    returns = command.returns or Returns(frozenset({Result.ALL}))
    saves, view = Result.SAVE in returns.results, context.view
    refusal = refuse_charset(context, command.charset)
    if refusal is not None:
        if saves and view is not None:
            view.saved = array("I")
        return refusal
    modseq = has_mod_seq(command.key)
    if modseq:
        enable_condstore(context)
    boxes = await _find_mailboxes(context, command.sources)
    if len(boxes) > MAX_SEARCHED:
        return _TOO_MANY
    saved = array("I")
    try:
        for box in boxes:
            found = await _find(context, box, command.key)
            if found is None or not found.uids:
                continue  # section 2.1
            scores = None
            if Result.RELEVANCY in returns.results:
                scope = await _scope(context, box)
                scores = await find_scores(context, scope, found, command.key)
            name = mailbox(box.name, utf8=context.engine.utf8)
            answer = SearchAnswer(
                uids=found.uids,
                returns=returns,
                uid=True,
                modseq=modseq,
                scores=scores,
                origin=AnsweredMailbox(name, box.uid_validity),
            )
            await write_answer(context, answer, found.table)
            if saves:
                saved = await context.work(answer.saved)
    finally:
        # RFC 5182 section 2.1: with NO nothing is saved.
        if saves and view is not None:
            view.saved = saved
    return Completion("OK", "search is done")


def _check(context: Context, command: MultiSearch) -> None:
    """Refuse what is only for the selected mailbox. (Section 2.2)

    Raises:
        BadSyntax: BAD.
    """
    ranges = {source.range for source in command.sources}
    if Range.SELECTED in ranges and context.view is None:
        raise bad("no mailbox is selected")
    if ranges == {Range.SELECTED}:
        return
    if command.returns is not None and Result.SAVE in command.returns.results:
        raise bad("only a search of the selected mailbox alone can be saved")
    if any_key(command.key, lambda one: isinstance(one, NumberIn) and one.numbers.saved):
        raise bad("$ is only for the selected mailbox")


async def _find(context: Context, box: Mailbox, key: SearchKey) -> FoundMessages | None:
    """Return what is found in a mailbox; ``None``: it is empty, gone, or may be read no more."""
    try:
        scope = await _scope(context, box)
        return await find(context, scope, key, of_many=True) if scope.uids else None
    except NoSuchMailbox:
        return None


async def _scope(context: Context, box: Mailbox) -> SearchedMailbox:
    """Return what of a mailbox is searched: all, or what the client counts."""
    view = context.view
    if view is not None and view.mailbox.mailbox_id == box.mailbox_id:
        return scope_of(view)
    tables = context.store.tables
    table = await context.read(
        lambda conn: tables.current(conn, box.account_id, box.mailbox_id),
    )
    return SearchedMailbox(account_id=box.account_id, mailbox_id=box.mailbox_id, uids=table.uids)


# ---- which mailboxes ----------------------------------------------------------------------------


async def _find_mailboxes(context: Context, sources: Sequence[SearchSource]) -> list[Mailbox]:
    """Return the mailboxes that sources mean, each once; those that may not be read are left out.

    No more than one above ``MAX_SEARCHED``.
    """
    found: dict[int, Mailbox] = {}
    names: Sequence[ListedName] = ()
    if any(one.range not in (Range.SELECTED, Range.MAILBOXES) for one in sources):
        names, _ = await load_names(context)
    for source in sources:
        boxes: Iterable[Mailbox]
        if source.range is Range.SELECTED:
            boxes = [context.selected.mailbox]
        elif source.range is Range.MAILBOXES:
            boxes = [box for name in source.mailboxes if (box := await _by_name(context, name))]
        else:
            boxes = await context.work(lambda: _choose(names, source))  # noqa: B023
        found.update((box.mailbox_id, box) for box in boxes)
        await context.connection.flush()
    return list(found.values())


async def _by_name(context: Context, name: str) -> Mailbox | None:
    """Return a mailbox that may be read; section 2.2: the right to see it is not needed."""
    try:
        return await context.find_mailbox(name, "r")
    except NoRight:
        return None


def _choose(names: Iterable[ListedName], source: SearchSource) -> list[Mailbox]:
    """Return the mailboxes that a source means, of those that the account sees."""
    tops = frozenset(source.mailboxes)
    return [
        one.box
        for one in names
        if one.box is not None and "r" in one.box.rights and _covers(one, source.range, tops)
    ]


def _covers(name: ListedName, range_: Range, tops: frozenset[str]) -> bool:
    match range_:
        case Range.SUBSCRIBED:
            return name.subscribed
        case Range.SUBTREE:
            parts = name.name.split(SEPARATOR)
            above = (SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts) + 1))
            return not tops.isdisjoint(above)
        case Range.SUBTREE_ONE:
            return name.name in tops or name.name.rpartition(SEPARATOR)[0] in tops
    # PERSONAL, and INBOXES: mail is filed into any mailbox (RFC 5465 section 6.3).
    return not is_shared_name(name.name)
