"""Replies and forwards with formatting: the HTML of the other message, with its pictures. Pure."""

from __future__ import annotations

from dataclasses import replace

from zajil.message.view import MessageView, content_id
from zajil.operations.drafts import DraftPlace
from zajil.submit.draft import MAX_FILES
from zajil.web.webmail.compose_files import FileRef
from zajil.web.webmail.compose_form import Letter
from zajil.web.webmail.compose_rich import (
    cid_url,
    clean_html,
    of_text,
    pictures_in,
    place_pictures,
    plain_text,
)

_LONGEST = 200_000
"""Characters of HTML that are quoted; of a longer one only the text is."""


def quote_with_formatting(
    letter: Letter, message: bytes, place: DraftPlace, head: str, picture: str
) -> Letter:
    """Return a reply or a forward that quotes HTML as HTML.

    Args:
        letter: with the quote as plain text.
        message: the other message.
        place: where it lies.
        head: plain text above the quote.
        picture: the word for one in plain text.
    """
    view = MessageView.from_bytes(message)
    pieces = view.alternatives("text/html")
    inner = "".join(
        [
            of_text(one.text) if one.html is None else clean_html(one.html.shown_source)
            for one in pieces
        ]
    )
    if len(inner) > _LONGEST or not any(one.html is not None for one in pieces):
        html = of_text(letter.body)
        return replace(letter, html=html, body=plain_text(html))
    named = pictures_in(inner)
    numbers: dict[str, str] = {}
    for leaf in view.leaves:
        name = content_id(leaf.part)
        if name in named and len(numbers) < MAX_FILES:
            numbers.setdefault(name, leaf.number)
    inner = place_pictures(inner, {name: cid_url(name) for name in numbers})
    inside = set(numbers.values())
    html = of_text(head) + (
        f"<blockquote>{inner}</blockquote>" if letter.kind == "reply" else inner
    )
    return replace(
        letter,
        html=html,
        body=plain_text(html, picture),
        refs=tuple([one for one in letter.refs if one.number not in inside]),
        pictures=tuple([FileRef(place.mailbox_id, place.uid, one) for one in numbers.values()]),
    )
