"""The words of HTML, for SEARCH. Pure."""

from __future__ import annotations

from selectolax.lexbor import LexborNode

from zajil.message.html_bounds import MAX_HTML, SPACE, cut_source, parse_html
from zajil.message.html_look import BLOCKS, NEVER_SHOWN


def html_words(source: str, limit: int = MAX_HTML) -> str:
    """Return the words of a document, hidden ones too, a line for each block.

    For SEARCH, which reads thousands of messages: no style is looked at.
    """
    tree = parse_html(cut_source(source, limit)[0])
    pieces: list[str] = []
    stack: list[LexborNode | None] = [tree.root]
    while stack:
        node = stack.pop()
        if node is None:
            pieces.append("\n")
            continue
        if (following := node.next) is not None:
            stack.append(following)
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            pieces.append(SPACE.sub(" ", text) if "\n" in text or "  " in text else text)
            continue
        if tag in NEVER_SHOWN or tag == "iframe":
            continue
        if tag in BLOCKS:
            pieces.append("\n")
            stack.append(None)
        if tag in ("img", "input"):
            pieces += [f" {node.attributes.get(name) or ''} " for name in ("alt", "value")]
        if (child := node.first_child) is not None:
            stack.append(child)
    return "".join(pieces)
