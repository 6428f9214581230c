"""What SEARCH may look for. (RFC 3501 section 6.4.4)"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import Enum

from zajil.core.value_class import value_class
from zajil.imap.sequence_set import SequenceSet


class Comparison(Enum):
    """How a date is compared, in whole days."""

    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"


@value_class(frozen=True, slots=True)
class All:
    """Every message."""


@value_class(frozen=True, slots=True)
class HasFlag:
    """A system flag, ``\\Recent`` or a keyword is set; keywords compare without case."""

    flag: str


@value_class(frozen=True, slots=True)
class NumberIn:
    """The sequence number, or the UID, is in the set."""

    numbers: SequenceSet
    uid: bool


@value_class(frozen=True, slots=True)
class ReceivedDate:
    """INTERNALDATE, as a day."""

    comparison: Comparison
    day: date


@value_class(frozen=True, slots=True)
class ReceivedFrom:
    """INTERNALDATE is this moment or a later one: where a day begins depends on who asks."""

    at_ms: int
    """Since 1970."""


@value_class(frozen=True, slots=True)
class SavedDate:
    """SAVEDATE, as a day. (RFC 8514 section 4.3)"""

    comparison: Comparison
    day: date


@value_class(frozen=True, slots=True)
class Age:
    """How long ago INTERNALDATE is. (RFC 5032)"""

    seconds: int
    older: bool
    """It is so long ago or longer; false: so long ago or less."""


@value_class(frozen=True, slots=True)
class SentDate:
    """The Date field's day, without regard to its time zone."""

    comparison: Comparison
    day: date


@value_class(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE above ``size``."""

    size: int


@value_class(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE below ``size``."""

    size: int


@value_class(frozen=True, slots=True)
class EmailIs:
    """The EMAILID. (RFC 8474 section 6)"""

    object_id: str


@value_class(frozen=True, slots=True)
class ThreadIs:
    """The THREADID. (RFC 8474 section 6)"""

    object_id: str


@value_class(frozen=True, slots=True)
class ModSeqFrom:
    """The MODSEQ is ``modseq`` or larger. (RFC 7162 section 3.1.5)"""

    modseq: int


@value_class(frozen=True, slots=True)
class HeaderHas:
    """A field with this name holds the text."""

    name: bytes
    """Lower case."""
    text: str
    """``""``: the field is there (RFC 3501 section 6.4.4)."""


@value_class(frozen=True, slots=True)
class BodyHas:
    """The text stands in the body."""

    text: str


@value_class(frozen=True, slots=True)
class TextHas:
    """The text stands in the header section or in the body."""

    text: str


@value_class(frozen=True, slots=True)
class ContentHas:
    """The text stands in the subject, in the people, in the text or in an attached document.

    No command asks for it, but pages do: what only other header fields have is not looked for.
    """

    text: str


@value_class(frozen=True, slots=True)
class RecipientHas:
    """The text stands in To, Cc or Bcc. Pages ask for it."""

    text: str


@value_class(frozen=True, slots=True)
class HasFiles:
    """The message has attachments. Pages ask for it."""


@value_class(frozen=True, slots=True)
class Fuzzy:
    """The key need not hold exactly. (RFC 6203)"""

    key: SearchKey


@value_class(frozen=True, slots=True)
class Not:
    """The key does not hold."""

    key: SearchKey


@value_class(frozen=True, slots=True)
class And:
    """All keys hold."""

    keys: tuple[SearchKey, ...]


@value_class(frozen=True, slots=True)
class Or:
    """One of two keys holds."""

    left: SearchKey
    right: SearchKey


SearchKey = (
    All
    | HasFlag
    | NumberIn
    | ReceivedDate
    | SavedDate
    | Age
    | SentDate
    | Larger
    | Smaller
    | EmailIs
    | ThreadIs
    | ReceivedFrom
    | ModSeqFrom
    | HeaderHas
    | BodyHas
    | TextHas
    | ContentHas
    | RecipientHas
    | HasFiles
    | Fuzzy
    | Not
    | And
    | Or
)


TextKey = HeaderHas | BodyHas | TextHas | ContentHas | RecipientHas
"""Keys that look for text."""


def has_fuzzy(key: SearchKey) -> bool:
    """Return whether FUZZY stands in a key."""
    match key:
        case Fuzzy():
            return True
        case Not(inner):
            return has_fuzzy(inner)
        case And(keys):
            return any(map(has_fuzzy, keys))
        case Or(left, right):
            return has_fuzzy(left) or has_fuzzy(right)
    return False


def fuzzy_texts(key: SearchKey, *, within: bool = False) -> list[TextKey]:
    """Return the keys that look for text and stand in a FUZZY.

    Args:
        key: of a search.
        within: it stands in one itself.
    """
    match key:
        case Fuzzy(inner):
            return fuzzy_texts(inner, within=True)
        case Not(inner):
            return fuzzy_texts(inner, within=within)
        case And(keys):
            return [text for inner in keys for text in fuzzy_texts(inner, within=within)]
        case Or(left, right):
            return fuzzy_texts(left, within=within) + fuzzy_texts(right, within=within)
        case HeaderHas() | BodyHas() | TextHas() if within:
            return [key]
    return []


def any_key(key: SearchKey, holds: Callable[[SearchKey], bool]) -> bool:
    """Return whether something holds of a key, or of one within it."""
    match key:
        case Not(inner) | Fuzzy(inner):
            return any_key(inner, holds)
        case And(keys):
            return any(any_key(inner, holds) for inner in keys)
        case Or(left, right):
            return any_key(left, holds) or any_key(right, holds)
    return holds(key)


def has_mod_seq(key: SearchKey) -> bool:
    """Return whether MODSEQ stands in a key: the answer then tells the highest one."""
    return any_key(key, lambda one: isinstance(one, ModSeqFrom))


def has_numbers(key: SearchKey) -> bool:
    """Return whether sequence numbers stand in a key: none may change before the answer."""
    return any_key(
        key, lambda one: isinstance(one, NumberIn) and not one.uid and not one.numbers.saved
    )
