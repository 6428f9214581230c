"""The lenient reader of values with parameters, for what the grammar of RFC 2045 does not cover.

Programs that show mail read on where the grammar is broken: a missing semicolon, an open quote, a
space inside a name of a file. What they would find, this reader finds, so that a part that one of
them would show or run is judged here, too.

Laws:
- On a value that the grammar covers it gives what ``params`` gives without it.
- Never raises; linear in the value but for the first ``MAX_STEPS`` words that are no parameter.
- A boundary that can be read in several ways has several readings; the body says which is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_STEPS = 2000
"""Words and characters of one field that are skipped in search of a parameter."""
MAX_BOUNDARY = 260
"""Characters of a boundary; RFC 2046 section 5.1.1 allows 70, and longer ones exist."""
FILE_NAMES = frozenset({"filename", "name"})
"""Parameters that people read: spaces and parentheses are part of them."""

_TOKEN = re.compile(r'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?=]++')
_NAME = re.compile(r'[^\x00-\x20\x7f()<>@,;:\\"/\[\]=]++')
_SPACE = re.compile(r"[\x00-\x20\x7f\xa0]*+")
_SEPARATORS = re.compile(r"[\x00-\x20\x7f\xa0,;]*+")
_COMMENT_BIT = re.compile(r"(?:[^()\\]|\\.)*+([()])?", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)("?)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# What stands directly behind a quoted string, unless it is the name of the next parameter.
_ATTACHED = re.compile(r'[^\x00-\x20\x7f,;"()=]++(?![\x00-\x20]*=)')
_NEXT_PARAMETER = re.compile(r"[;,][\x00-\x20]*+[A-Za-z][A-Za-z0-9*-]*+[\x00-\x20]*+=")
_KNOWN = (
    "charset|boundary|name|filename|type|format|delsp|size|creation-date|modification-date"
    "|read-date|x-unix-mode|x-apple-part-url|x-mac-type|x-mac-creator|protocol|micalg|start"
    "|report-type|method|id|part|number|total"
)
_FILE_NAME_ENDS = re.compile(
    rf";|(?<![\x00-\x20,])[\x00-\x20,]++(?:{_KNOWN})(?:\*[0-9]*+\*?)?[\x00-\x20]*+=", re.IGNORECASE
)
_PLAIN = re.compile(r'[^\x00-\x20\x7f,;"()]*+')
_BOUNDARY = re.compile(r"[^\x00-\x20\x7f;]*+")
_LINE = re.compile(r"[^;\r\n]*+")
# A comment behind a name that is complete: "report.pdf (a comment)"; not "report (1).pdf".
_TRAILING_COMMENT = re.compile(r"(?s)(.*?\.[A-Za-z0-9]{1,5})[ \t]*\([^()]*+\)\Z")


class Found(NamedTuple):
    """One parameter as it stands."""

    name: str
    """Lower case, with the section and the ``*`` of RFC 2231."""
    value: str
    """Unquoted, nothing decoded."""
    others: tuple[str, ...] = ()
    """Other readings of a boundary."""


def scan_value(text: str) -> tuple[str, Iterator[Found]]:
    """Read a field value.

    Returns:
        What stands in front of the parameters, lower case, up to the first character that no token
        has (``text/html``, ``attachment``; ``""`` when it is missing), and the parameters in order.
    """
    scan = _Scan(text)
    return scan.read_head(), scan.read_parameters()


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.comments_end = True
        """No comment was seen yet that is never closed."""

    def read_head(self) -> str:
        text = self.text
        self._skip(_SEPARATORS)
        if text[self.at : self.at + 1] == '"':
            self.at += 1
            self._skip(_SPACE)
        begin = self.at
        type_ = self._take_token()
        if text[self.at : self.at + 1] == "=":
            self.at = begin
            return ""
        if text[self.at : self.at + 1] != "/":
            return type_
        self.at += 1
        self._skip(_SPACE)
        begin = self.at
        subtype = self._take_token()
        if text[self.at : self.at + 1] == "=":  # "text/; charset=utf-8" without its semicolon
            self.at, subtype = begin, ""
        return f"{type_}/{subtype}" if subtype else type_

    def _take_token(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        self._skip(_SPACE)
        return match[0].lower()

    def read_parameters(self) -> Iterator[Found]:
        text = self.text
        for _ in range(MAX_STEPS):
            self._skip(_SEPARATORS)
            if self.at >= len(text):
                return
            match = _NAME.match(text, self.at)
            if match is None:
                self.at += 1
                continue
            self.at = match.end()
            self._skip(_SPACE)
            if text[self.at : self.at + 1] != "=":
                continue
            self.at += 1
            name = match[0].lower()
            yield Found(name, *self._take_value(name.partition("*")[0]))

    def _take_value(self, base: str) -> tuple[str, tuple[str, ...]]:
        if base == "boundary" or base in FILE_NAMES:
            self.at = _end(_SPACE, self.text, self.at)
        else:
            self._skip(_SPACE)
        if self.text[self.at : self.at + 1] == '"':
            return self._take_quoted(base)
        if base == "boundary":
            return self._take_boundary()
        if base in FILE_NAMES:
            return self._take_file_name(), ()
        match = _PLAIN.match(self.text, self.at)
        if match is None:  # the pattern matches nothing, too
            return "", ()
        self.at = match.end()
        return match[0], ()

    # ---- values -----------------------------------------------------------------------------

    def _take_quoted(self, base: str) -> tuple[str, tuple[str, ...]]:
        text = self.text
        match = _QUOTED.match(text, self.at)
        if match is None:  # it begins with a quote
            return "", ()
        raw, others = match[1], []
        self.at = match.end()
        if not match[2]:
            # Never closed: it ends where another parameter begins, else it takes the rest.
            begins = _NEXT_PARAMETER.search(text, match.start(1))
            if begins is not None:
                others.append(raw)
                self.at = begins.start()
                raw = text[match.start(1) : self.at]
        value = _ESCAPE.sub(r"\1", raw)
        if "\\" in raw:
            others.append(raw)
        if base == "boundary" and text[_end(_SPACE, text, self.at) :][:1] not in ("", ";"):
            # Some programs look for the quotes, too, where they do not end the value.
            line = text[match.start() : _end(_LINE, text, match.end(1))].strip()
            others += [line, text[match.start() : _end(_BOUNDARY, text, match.start())]]
        if not match[2]:
            others += [raw.split()[0] if raw.split() else "", f'"{raw}']
        joined = value + self._take_attached()
        if base != "boundary":
            return (joined if base in FILE_NAMES else value), ()
        return value, _others(value, [joined, *others])

    def _take_attached(self) -> str:
        """Take what stands directly behind a quoted string, and further quoted strings."""
        joined: list[str] = []
        while True:
            if match := _ATTACHED.match(self.text, self.at):
                joined.append(match[0])
                self.at = match.end()
                continue
            begin = _end(_SPACE, self.text, self.at)
            match = _QUOTED.match(self.text, begin)
            if match is None or not match[2]:
                return "".join(joined)
            joined.append(_ESCAPE.sub(r"\1", match[1]))
            self.at = match.end()

    def _take_file_name(self) -> str:
        match = _FILE_NAME_ENDS.search(self.text, self.at)
        end = match.start() if match else len(self.text)
        value = self.text[self.at : end].strip(" \t\r\n,").removesuffix('"')
        self.at = end
        if value.endswith(")") and (match := _TRAILING_COMMENT.match(value)):
            return match[1]
        return value

    def _take_boundary(self) -> tuple[str, tuple[str, ...]]:
        text, begin = self.text, self.at
        word = text[begin : _end(_BOUNDARY, text, begin)]
        first = re.split(r'[,"(]', word, maxsplit=1)[0]
        # Behind a comma or a quote the next parameter may stand; it is read as well.
        self.at = begin + (len(first) or len(word))
        line = text[begin : min(_end(_LINE, text, begin), begin + MAX_BOUNDARY)].strip()
        value = word.rstrip(",")
        return value, _others(value, [first, line, word, self._without_comments(begin)])

    def _without_comments(self, at: int) -> str:
        limit = min(len(self.text), at + MAX_BOUNDARY * 4)
        kept: list[str] = []
        while at < limit:
            char = self.text[at]
            after = _end_of_comment(self.text[:limit], at + 1) if char == "(" else None
            if after is None and (char in ";,\r\n" or (kept and char in " \t")):
                break
            if after is None:
                kept.append(char)
            at = after or at + 1
        return "".join(kept).strip()

    # ---- white space and comments -----------------------------------------------------------

    def _skip(self, space: re.Pattern[str]) -> None:
        """Skip white space, or separators, and comments between them (RFC 5322 section 3.2.2)."""
        text = self.text
        while True:
            self.at = _end(space, text, self.at)
            if not self.comments_end or text[self.at : self.at + 1] != "(":
                return
            after = _end_of_comment(text, self.at + 1)
            if after is None:
                self.comments_end = False
                return
            self.at = after


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _end_of_comment(text: str, at: int) -> int | None:
    depth = 1
    while depth and (match := _COMMENT_BIT.match(text, at)):
        at = match.end()
        if match[1] is None:
            return None
        depth += 1 if match[1] == "(" else -1
    return at


def _others(value: str, readings: list[str]) -> tuple[str, ...]:
    found = dict.fromkeys(one for one in readings if 0 < len(one) <= MAX_BOUNDARY)
    found.pop(value, None)
    return tuple(found)
