"""Parts of messages that are there already, for CATENATE. (RFC 4469)"""

from __future__ import annotations

from collections.abc import Callable

from zajil.core.ids import AccountId, Uid
from zajil.core.value_class import value_class
from zajil.imap.body_section import Span, find_section
from zajil.imap.fetch_item import SectionText
from zajil.imap.message_url import BadUrl, MessageUrl
from zajil.message.parse import parse_message
from zajil.message.source import PIECE
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.access import NoRight
from zajil.store.mail.blobs import Blobs, NoSuchBlob
from zajil.store.mail.mailboxes import find_mailbox
from zajil.store.mail.messages import Message, get_messages, open_message

_FIELDS = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


@value_class(frozen=True, slots=True)
class FoundPart:
    """Where the text of a URL lies."""

    message: Message
    spans: tuple[Span, ...]
    tail: bytes = b""
    """What stands behind them: the empty line after chosen header fields."""

    @property
    def size(self) -> int:
        """Bytes of the whole text."""
        return sum([span.size for span in self.spans]) + len(self.tail)

    def pieces(self) -> list[Span]:
        """Return the ranges, cut into pieces that memory can hold."""
        return [
            Span(start, min(start + PIECE, span.end))
            for span in self.spans
            for start in range(span.start, span.end, PIECE)
        ]


def find_url(
    blobs: Blobs, account_id: AccountId, url: MessageUrl, selected: str
) -> Callable[[Snapshot], FoundPart]:
    """Return a query that finds what a URL names in the mailboxes of an account.

    Args:
        blobs: where messages lie.
        account_id: whose mailboxes.
        url: what is looked for.
        selected: the mailbox that is meant where the URL names none; ``""``: none is selected.

    The query raises:
        BadUrl: there is no such mailbox, message or part.
        StoreUnavailable: the message cannot be read.
    """

    def query(conn: Snapshot) -> FoundPart:
        try:
            try:
                box = find_mailbox(conn, account_id, url.mailbox or selected)
            except NoRight as error:
                raise BadUrl("no such mailbox") from error
        except NoRight:
            raise BadUrl("no right to read the mailbox") from None
        if box is None or url.uid_validity not in (None, box.uid_validity):
            raise BadUrl("no such mailbox")
        found = get_messages(conn, box.mailbox_id, [Uid(url.uid)])
        if not found:
            raise BadUrl("no such message")
        try:
            with open_message(conn, blobs, found[0]) as reader:
                spans: list[Span] | None = [Span(0, reader.size)]
                if url.section.path or url.section.text is not SectionText.WHOLE:
                    root = parse_message(reader.read_at(0, reader.size))
                    spans = find_section(root, url.section, reader.size)
        except NoSuchBlob:
            raise BadUrl("no such message") from None
        if spans is None:
            raise BadUrl("no such part")
        is_cut = url.section.partial is not None or url.section.text not in _FIELDS
        spans = _cut(spans, url.section.partial)
        return FoundPart(found[0], tuple(spans), b"" if is_cut else b"\r\n")

    return query


def read_part(blobs: Blobs, part: FoundPart, span: Span) -> Callable[[Snapshot], bytes]:
    """Return a query that reads a piece of what was found.

    The query raises:
        BadUrl: the message was expunged meanwhile.
        StoreUnavailable: it cannot be read.
    """

    def query(conn: Snapshot) -> bytes:
        try:
            with open_message(conn, blobs, part.message) as reader:
                return reader.read_at(span.start, span.size)
        except NoSuchBlob:
            raise BadUrl("the message was expunged") from None

    return query


def _cut(spans: list[Span], partial: tuple[int, int] | None) -> list[Span]:
    """Return what a partial URL wants of ranges that count as one text."""
    if partial is None:
        return spans
    offset, room = partial
    wanted = []
    for span in spans:
        part = span.cut((min(offset, span.size), room))
        offset, room = max(0, offset - span.size), room - part.size
        wanted.append(part)
    return wanted
