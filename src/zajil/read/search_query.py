"""The language of the search field: ``from:noor has:attachment before:2026-01-01 "two words"``.

Words stand side by side, and all must hold; ``OR`` joins two, ``-`` negates one. What is in quotes
stays together. Operators are known in English, Arabic and French; digits may be of any script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import Enum
from functools import reduce
from types import MappingProxyType

from zajil.core.value_class import value_class
from zajil.imap.search_key import (
    All,
    And,
    BodyHas,
    ContentHas,
    HasFiles,
    HasFlag,
    HeaderHas,
    Larger,
    Not,
    Or,
    ReceivedFrom,
    RecipientHas,
    SearchKey,
    Smaller,
)
from zajil.message.normal_form import search_form
from zajil.read.search_values import read_days, read_size

MAX_QUERY = 1000
"""Characters that are read; what is behind them is left out."""
MAX_CONDITIONS = 20
"""Each may look up words in the index, and so many of one search do (``text_hits.LOOK_UPS``)."""


class ConditionKind(Enum):
    """What a condition is about."""

    TEXT = "text"
    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    SUBJECT = "subject"
    BODY = "body"
    HAS = "has"
    IS = "is"
    IN = "in"
    BEFORE = "before"
    AFTER = "after"
    ON = "on"
    LARGER = "larger"
    SMALLER = "smaller"
    LABEL = "label"


@value_class(frozen=True, slots=True)
class Condition:
    """One condition of a query."""

    kind: ConditionKind
    value: str
    """As it was written; of ``HAS`` and ``IS`` one of ``HAS_VALUES`` and ``IS_VALUES``."""
    negated: bool = False

    @property
    def source(self) -> str:
        """The condition in the form in which it is typed."""
        value = self.value
        is_text = self.kind is ConditionKind.TEXT
        if _SPACE.search(value) or (is_text and _NEEDS_QUOTES.match(value)):
            value = f'"{value}"'
        name = "" if is_text else f"{self.kind.value}:"
        return f"{'-' if self.negated else ''}{name}{value}"


@value_class(frozen=True, slots=True)
class SearchQuery:
    """A query that was read."""

    groups: tuple[tuple[Condition, ...], ...] = ()
    """All groups must hold, of each group one condition."""
    faults: tuple[Condition, ...] = ()
    """What has no meaning, such as ``before:soon``; it is not searched for."""
    is_cut: bool = False
    """There was more than is searched for."""

    @property
    def source(self) -> str:
        """The query in the form in which it is typed."""
        return join_groups(self.groups)

    @property
    def folders(self) -> tuple[Condition, ...]:
        """Which mailboxes are searched: those of ``in:`` together, without those of ``-in:``."""
        return tuple(one for some in self.groups for one in some if one.kind is ConditionKind.IN)

    @property
    def terms(self) -> tuple[str, ...]:
        """Texts that are looked for, in search form: to be marked where they are shown."""
        found = [
            search_form(one.value)
            for some in self.groups
            for one in some
            if one.kind in _TEXT_KINDS and not one.negated
        ]
        return tuple(dict.fromkeys(one for one in found if one.strip()))

    def without(self, group: int) -> str:
        """Return the query without one of its groups, in the form in which it is typed."""
        return join_groups(self.groups[:group] + self.groups[group + 1 :])

    def key(
        self,
        today: date,
        own: str,
        zone: tzinfo = UTC,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> SearchKey:
        """Return what must hold for a message; ``in:`` says where it must lie, and is not in it.

        Args:
            today: what ``today`` and ``7d`` count from.
            own: the address that ``me`` stands for.
            zone: in which days begin and end.
            labels: keywords by the names of labels, in search form.
        """
        given = _Given(today, own, zone, labels)
        keys = []
        for some in self.groups:
            wanted = [one for one in some if one.kind is not ConditionKind.IN]
            if wanted:
                keys.append(reduce(Or, [_key(one, given) for one in wanted]))
        if len(keys) == 1:
            return keys[0]
        return And(tuple(keys)) if keys else All()


def join_groups(groups: Sequence[Sequence[Condition]]) -> str:
    """Return groups in the form in which they are typed."""
    return " ".join(" OR ".join(one.source for one in some) for some in groups)


def parse_query(text: str, today: date) -> SearchQuery:
    """Read what was typed; every text has a meaning, if only some of it.

    Args:
        text: of the search field.
        today: see ``SearchQuery.key``; whether a day is one does not depend on it.
    """
    is_cut = len(text) > MAX_QUERY
    groups: list[list[Condition]] = []
    faults: list[Condition] = []
    joins, count = False, 0
    for piece in _PIECE.finditer(text[:MAX_QUERY]):
        if piece[0] in _OR_WORDS:
            joins = bool(groups)
            continue
        condition = _condition(piece)
        if condition is None:
            continue
        if count == MAX_CONDITIONS:
            is_cut = True
            break
        count += 1
        if not _has_meaning(condition, today):
            faults.append(condition)
        elif joins:
            groups[-1].append(condition)
        else:
            groups.append([condition])
        joins = False
    return SearchQuery(tuple(map(tuple, groups)), tuple(faults), is_cut)


# ---- words --------------------------------------------------------------------------------------

_NAMES = {
    **{one.value: one for one in ConditionKind if one is not ConditionKind.TEXT},
    **dict.fromkeys(("since", "newer", "بعد", "منذ", "depuis", "après"), ConditionKind.AFTER),
    **dict.fromkeys(("until", "older", "قبل", "avant"), ConditionKind.BEFORE),
    **dict.fromkeys(("date", "يوم", "تاريخ", "le"), ConditionKind.ON),
    **dict.fromkeys(("size", "bigger", "أكبر", "supérieur"), ConditionKind.LARGER),
    **dict.fromkeys(("tag", "keyword", "وسم", "تصنيف", "libellé"), ConditionKind.LABEL),
    **dict.fromkeys(("folder", "mailbox", "في", "مجلد", "dans", "dossier"), ConditionKind.IN),
    **dict.fromkeys(("الموضوع", "موضوع", "objet"), ConditionKind.SUBJECT),
    **dict.fromkeys(("نسخة", "نسخة_إلى", "copie"), ConditionKind.CC),
    **dict.fromkeys(("حالة", "الحالة", "est"), ConditionKind.IS),
    **dict.fromkeys(("فيها", "به", "يحوي", "تحوي", "avec"), ConditionKind.HAS),
    **dict.fromkeys(("أصغر", "inférieur"), ConditionKind.SMALLER),
    **dict.fromkeys(("من", "de"), ConditionKind.FROM),
    **dict.fromkeys(("إلى", "à"), ConditionKind.TO),
    **dict.fromkeys(("نسخة_مخفية", "cci"), ConditionKind.BCC),
    **dict.fromkeys(("النص", "texte"), ConditionKind.BODY),
}
_HAS = {
    **dict.fromkeys(
        ("attachment", "attachments", "file", "files", "مرفق", "مرفقات", "ملف", "pièce_jointe"),
        "attachment",
    ),
}
_IS = {
    **dict.fromkeys(("read", "seen", "مقروءة", "مقروء", "lu"), "read"),
    **dict.fromkeys(
        ("unread", "unseen", "new", "غير_مقروءة", "غير-مقروءة", "غير مقروءة", "جديدة", "non_lu"),
        "unread",
    ),
    **dict.fromkeys(("starred", "flagged", "نجمة", "بنجمة", "مميزة", "suivi"), "starred"),
    **dict.fromkeys(("answered", "replied", "مجابة", "أجيب", "رددت", "répondu"), "answered"),
    **dict.fromkeys(("draft", "مسودة", "brouillon"), "draft"),
    **dict.fromkeys(("forwarded", "محولة", "معاد_توجيهها", "transféré"), "forwarded"),
}
HAS_VALUES = tuple(dict.fromkeys(_HAS.values()))
IS_VALUES = tuple(dict.fromkeys(_IS.values()))
_OR_WORDS = ("OR", "|", "أو", "OU")


def _in_search_form(words: Mapping[str, object]) -> dict[str, object]:
    return {search_form(word): value for word, value in words.items()}


_KINDS = {word: ConditionKind(value) for word, value in _in_search_form(_NAMES).items()}
_HAS_WORDS = {word: str(value) for word, value in _in_search_form(_HAS).items()}
_IS_WORDS = {word: str(value) for word, value in _in_search_form(_IS).items()}
_TEXT_KINDS = frozenset(
    {
        ConditionKind.TEXT,
        ConditionKind.FROM,
        ConditionKind.TO,
        ConditionKind.CC,
        ConditionKind.BCC,
        ConditionKind.SUBJECT,
        ConditionKind.BODY,
    }
)

# A word may have quotes after the colon only: "it's" and 5" are words.
_PIECE = re.compile(r'-?(?:[^\s":]+:)?"[^"]*(?:"|\Z)|\S+')
_PARTS = re.compile(r'(-?)(?:([^\s":]+):)?(?:"([^"]*)"?\Z|(.*))', re.DOTALL)
_SPACE = re.compile(r"\s")
_NEEDS_QUOTES = re.compile(r"[-|]|(?:OR|OU|أو)\Z|[^\s:]+:")


def _condition(piece: re.Match[str]) -> Condition | None:
    """Return the condition of a piece of text; ``None``: it says nothing."""
    minus, name, quoted, bare = _split(piece[0])
    value = " ".join((bare if quoted is None else quoted).replace('"', " ").split())
    kind = ConditionKind.TEXT if name is None else _KINDS.get(search_form(name))
    if kind is None:  # a URL, a time of day
        kind, value = ConditionKind.TEXT, f"{name}:{value}"
    if not value:
        return None
    if kind is ConditionKind.HAS:
        value = _HAS_WORDS.get(search_form(value), value)
    elif kind is ConditionKind.IS:
        value = _IS_WORDS.get(search_form(value), value)
    return Condition(kind, value, negated=bool(minus))


def _split(text: str) -> tuple[str, str | None, str | None, str]:
    found = _PARTS.match(text)
    if found is None:
        return "", None, None, text
    return found[1], found[2], found[3], found[4] or ""


def _has_meaning(condition: Condition, today: date) -> bool:
    match condition.kind:
        case ConditionKind.HAS:
            return condition.value in HAS_VALUES
        case ConditionKind.IS:
            return condition.value in IS_VALUES
        case ConditionKind.BEFORE | ConditionKind.AFTER | ConditionKind.ON:
            return read_days(condition.value, today) is not None
        case ConditionKind.LARGER | ConditionKind.SMALLER:
            return read_size(condition.value) is not None
    return any(map(str.isalnum, condition.value)) or len(condition.value) > 1


# ---- keys ---------------------------------------------------------------------------------------

_FLAGS = {
    "read": "\\Seen",
    "unread": "\\Seen",
    "starred": "\\Flagged",
    "answered": "\\Answered",
    "draft": "\\Draft",
    "forwarded": "$Forwarded",
}
_ME = ("me", "انا")
_PEOPLE = frozenset({ConditionKind.FROM, ConditionKind.TO, ConditionKind.CC, ConditionKind.BCC})


@value_class(frozen=True, slots=True)
class _Given:
    """What conditions depend on: see ``SearchQuery.key``."""

    today: date
    own: str
    zone: tzinfo
    labels: Mapping[str, str]


def _key(condition: Condition, given: _Given) -> SearchKey:
    key = _plain_key(condition, given)
    return Not(key) if condition.negated else key


def _plain_key(condition: Condition, given: _Given) -> SearchKey:
    kind, value = condition.kind, condition.value
    if kind in _PEOPLE and search_form(value) in _ME:
        value = given.own
    match kind:
        case ConditionKind.TO:
            return RecipientHas(value)
        case ConditionKind.FROM | ConditionKind.CC | ConditionKind.BCC | ConditionKind.SUBJECT:
            return HeaderHas(kind.value.encode("ascii"), value)
        case ConditionKind.BODY:
            return BodyHas(value)
        case ConditionKind.HAS:
            return HasFiles()
        case ConditionKind.IS:
            key = HasFlag(_FLAGS[value])
            return Not(key) if value == "unread" else key
        case ConditionKind.LABEL:
            return HasFlag(given.labels.get(search_form(value), value))
        case ConditionKind.LARGER:
            return Larger(read_size(value) or 0)
        case ConditionKind.SMALLER:
            return Smaller(read_size(value) or 0)
        case ConditionKind.BEFORE | ConditionKind.AFTER | ConditionKind.ON:
            days = read_days(value, given.today) or (given.today, given.today)
            return _day_key(kind, *days, given.zone)
    return ContentHas(value)


def _day_key(kind: ConditionKind, first: date, behind: date, zone: tzinfo) -> SearchKey:
    since = ReceivedFrom(_begin_ms(first, zone))
    if kind is ConditionKind.AFTER:
        return since
    if kind is ConditionKind.BEFORE:
        return Not(since)
    return And((since, Not(ReceivedFrom(_begin_ms(behind, zone)))))


def _begin_ms(day: date, zone: tzinfo) -> int:
    """Return when a day begins, in ms since 1970."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    try:
        begin = begin.replace(tzinfo=zone)
        return (begin - _EPOCH) // _MS
    except OverflowError:  # the first day or the last one that there is
        return (begin.replace(tzinfo=UTC) - _EPOCH) // _MS


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
