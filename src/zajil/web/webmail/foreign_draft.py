"""Drafts of other programs: what of their formatting the editor does not have. Pure."""

from __future__ import annotations

import re

from babel.lists import format_list

from zajil.submit.draft import ReadDraft
from zajil.web.language import Language
from zajil.web.webmail.compose_form import Letter
from zajil.web.webmail.compose_rich import LONGEST, pictures_in

_TAG = re.compile(r"<[a-z][^<>]*+", re.IGNORECASE)
_STYLE = re.compile(r"\sstyle\s*+=", re.IGNORECASE)
_LOOK_IN_STYLE = re.compile(r"\b(?:color|background|font-family|font-size)\s*+:", re.IGNORECASE)
_LOOK = re.compile(r"\A<font\s|\s(?:bgcolor|color|face)\s*+=", re.IGNORECASE)
_TABLE = re.compile(r"<table[\s>]", re.IGNORECASE)
_PICTURE = re.compile(r"<img\s[^<>]*?\bsrc\s*+=\s*+[\"']?+(?!cid:)", re.IGNORECASE)


def find_lost(draft: ReadDraft, letter: Letter, language: Language) -> str:
    """Return what is lost of a draft when it is saved here; ``""``: nothing is.

    Args:
        draft: as it was read.
        letter: its form.
        language: of the sentence.
    """
    if not draft.is_foreign or not draft.html:
        return ""
    gettext = language.gettext
    there = {file.content_id for file in draft.files}
    lost: list[str] = []
    html = draft.html[:LONGEST]
    if any(map(_has_look, _TAG.findall(html))):
        lost.append(gettext("colors, fonts and sizes"))
    if _TABLE.search(html):
        lost.append(gettext("tables (their text stays)"))
    if _PICTURE.search(html) or pictures_in(letter.html) - there:
        lost.append(gettext("pictures that are not in the message"))
    if not lost:
        return ""
    sentence = gettext(
        "This draft was written in another program. Saving it here removes: %(what)s."
    )
    return sentence % {"what": format_list(lost, style="unit", locale=language.locale)}


def _has_look(tag: str) -> bool:
    """Check for colours and fonts. Linear: a draft may quote the HTML of anybody."""
    style = _STYLE.search(tag)
    in_style = style is not None and _LOOK_IN_STYLE.search(tag, style.end()) is not None
    return in_style or _LOOK.search(tag) is not None
