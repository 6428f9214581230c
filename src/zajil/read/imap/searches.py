"""The commands that search: SEARCH, ESEARCH, SORT and THREAD."""

from __future__ import annotations

from zajil.imap.response import Completion
from zajil.imap.search_command import MultiSearch, Search, Sort, Thread
from zajil.imap.search_key import has_numbers
from zajil.read.imap.context import Context
from zajil.read.imap.multi_search import search_many
from zajil.read.imap.search import search
from zajil.read.imap.sort import sort
from zajil.read.imap.thread import thread


async def answer_search(
    context: Context, command: Search | Sort | Thread | MultiSearch
) -> Completion:
    """Answer one of them."""
    match command:
        case Search():
            return await search(context, command)
        case Sort():
            return await sort(context, command)
        case Thread():
            return await thread(context, command)
        case MultiSearch():
            return await search_many(context, command)


def names_numbers(event: object) -> bool:
    """Return whether a command searches for sequence numbers, in its form with UID as well.

    None may change before it is answered. (RFC 7162 section 3.2.10.2)
    """
    return isinstance(event, Search | Sort | Thread | MultiSearch) and has_numbers(event.key)
