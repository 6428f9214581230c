"""What a client may ask: one dataclass per command. (RFC 3501 section 6)

Mailbox names are Unicode, in their one form (``mailbox_name``). The tag of a command stays in the
engine: one command is answered at a time.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from zajil.core.value_class import value_class
from zajil.imap.acl import AclCommand
from zajil.imap.append_command import AppendCommand, AppendEnd, AppendMore
from zajil.imap.fetch_item import FetchItem
from zajil.imap.metadata import MetadataCommand
from zajil.imap.notify import NotifyCommand
from zajil.imap.quota import GetQuota, GetQuotaRoot, SetQuota
from zajil.imap.search_command import MultiSearch, Search, Sort, Thread
from zajil.imap.sequence_set import SequenceSet


@value_class(frozen=True, slots=True)
class Capability:
    """``CAPABILITY``."""


@value_class(frozen=True, slots=True)
class NoopCommand:
    """``NOOP``: anything new?"""


@value_class(frozen=True, slots=True)
class Logout:
    """``LOGOUT``."""


@value_class(frozen=True, slots=True)
class Id:
    """``ID``: which program the client is, as it says. (RFC 2971)"""

    client: str = ""
    """Its name and version; visible ASCII characters, 100 at most. Never to be acted on."""


@value_class(frozen=True, slots=True)
class StartTlsCommand:
    """``STARTTLS``."""


@value_class(frozen=True, slots=True)
class Authenticate:
    """``AUTHENTICATE mechanism [initial]``. (RFC 4959)"""

    mechanism: str
    """Upper case."""
    initial: bytes | None
    """Decoded from base64; ``b""`` for ``=``; ``None``: a challenge is owed."""


@value_class(frozen=True, slots=True)
class AuthenticateResponse:
    """The line that answers a challenge."""

    data: bytes | None
    """Decoded; ``None``: the client cancelled with ``*``."""


@value_class(frozen=True, slots=True)
class LoginCommand:
    """``LOGIN login password``."""

    login: str
    password: str

    def __repr__(self) -> str:
        """Leave the password out: a command may stand in a traceback."""
        return f"LoginCommand({self.login!r}, ...)"


@value_class(frozen=True, slots=True)
class Enable:
    """``ENABLE``. (RFC 5161)"""

    extensions: tuple[str, ...]
    """Upper case, as ``feature.Feature`` has them."""


@value_class(frozen=True, slots=True)
class KnownState:
    """What a client knows of a mailbox from before. (RFC 7162 section 3.2.5)"""

    uid_validity: int
    modseq: int
    uids: SequenceSet | None = None
    """Of the messages it knows, without ``*``; ``None``: it may know any."""
    sample: tuple[SequenceSet, SequenceSet] | None = None
    """Some sequence numbers and their UIDs, as many, both ascending."""


@value_class(frozen=True, slots=True)
class Compress:
    """``COMPRESS mechanism``. (RFC 4978)"""

    mechanism: str
    """Upper case."""


@value_class(frozen=True, slots=True)
class Unauthenticate:
    """``UNAUTHENTICATE``: forget who the client is. (RFC 8437)"""


@value_class(frozen=True, slots=True)
class Select:
    """``SELECT mailbox``, ``EXAMINE mailbox``."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    known: KnownState | None = None
    """``QRESYNC``: what changed since is to be told."""
    given: str = field(default="", repr=False)
    """How the client wrote the name, if that is not in NFC."""


@value_class(frozen=True, slots=True)
class Create:
    """``CREATE mailbox``, ``CREATE mailbox (USE (attribute ...))``."""

    mailbox: str
    uses: tuple[str, ...] = ()
    """Attributes of RFC 6154 section 2, as the client wrote them."""
    given: str = field(default="", repr=False)
    """How the client wrote the name, if that is not in NFC."""


@value_class(frozen=True, slots=True)
class Delete:
    """``DELETE mailbox``."""

    mailbox: str
    given: str = field(default="", repr=False)
    """How the client wrote the name, if that is not in NFC."""


@value_class(frozen=True, slots=True)
class Rename:
    """``RENAME mailbox new-name``."""

    mailbox: str
    new_name: str
    given: str = field(default="", repr=False)
    """How the client wrote the old name, if that is not in NFC."""


@value_class(frozen=True, slots=True)
class Subscribe:
    """``SUBSCRIBE mailbox``, ``UNSUBSCRIBE mailbox``."""

    mailbox: str
    subscribed: bool


class StatusItem(Enum):
    """What STATUS may ask for."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    APPENDLIMIT = "APPENDLIMIT"
    """RFC 7889 section 4: bytes of the largest message."""
    MAILBOXID = "MAILBOXID"
    """RFC 8474 section 4.3."""
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    """RFC 7162 section 3.1.7."""
    SIZE = "SIZE"
    """RFC 8438."""
    DELETED = "DELETED"
    """RFC 9051 section 6.3.11."""
    DELETED_STORAGE = "DELETED-STORAGE"
    """RFC 9208 section 4.1.4."""


@value_class(frozen=True, slots=True, kw_only=True)
class List:
    """``LIST``, also in its extended form. (RFC 5258, RFC 6154, RFC 5819)"""

    reference: bytes
    """Wire form."""
    patterns: tuple[bytes, ...]
    """Wire form, never empty."""
    select: frozenset[str] = frozenset()
    """SUBSCRIBED, SPECIAL-USE, RECURSIVEMATCH, REMOTE."""
    returns: frozenset[str] = frozenset()
    """SUBSCRIBED, CHILDREN, SPECIAL-USE, MYRIGHTS."""
    status: tuple[StatusItem, ...] = ()
    entries: tuple[str, ...] = ()
    """Annotations to return. (RFC 9590)"""
    extended: bool = False
    """Of RFC 5258; in the other form the pattern ``b""`` asks for the separator."""


@value_class(frozen=True, slots=True)
class Lsub:
    """``LSUB reference pattern``."""

    reference: bytes
    pattern: bytes


@value_class(frozen=True, slots=True)
class StatusCommand:
    """``STATUS mailbox (items)``."""

    mailbox: str
    items: tuple[StatusItem, ...]


@value_class(frozen=True, slots=True)
class Namespace:
    """``NAMESPACE``. (RFC 2342)"""


@value_class(frozen=True, slots=True)
class LiteralChunk:
    """A piece of a literal of APPEND or REPLACE."""

    data: bytes


@value_class(frozen=True, slots=True)
class Idle:
    """``IDLE``: answer with ``go_ahead``, then send what changes. (RFC 2177)"""


@value_class(frozen=True, slots=True)
class IdleDone:
    """``DONE``: ``reply`` is owed."""

    clean: bool = True
    """False: some other line ended IDLE; to be answered with BAD."""


@value_class(frozen=True, slots=True)
class Check:
    """``CHECK``."""


@value_class(frozen=True, slots=True)
class Close:
    """``CLOSE``: expunge, silently, and leave the mailbox."""


@value_class(frozen=True, slots=True)
class Unselect:
    """``UNSELECT``: leave the mailbox, expunge nothing. (RFC 3691)"""


@value_class(frozen=True, slots=True)
class Expunge:
    """``EXPUNGE``, ``UID EXPUNGE set``. (RFC 4315 section 2.1)"""

    uids: SequenceSet | None
    """Only these of the deleted ones; ``None``: all."""


@value_class(frozen=True, slots=True, kw_only=True)
class Fetch:
    """``FETCH``, ``UID FETCH``."""

    numbers: SequenceSet
    items: tuple[FetchItem, ...]
    """With ``Attribute.UID`` where the UID form asks for it (RFC 3501 section 6.4.8)."""
    uid: bool
    changed_since: int | None = None
    """Only messages with a larger MODSEQ (RFC 7162 section 3.1.4.1)."""
    vanished: bool = False
    """Tell what was expunged since as well (RFC 7162 section 3.2.6)."""
    partial: tuple[int, int] | None = None
    """Only these of the messages, as ``sequence_set.parse_partial`` has it (RFC 9394)."""
    adds_uid: bool = field(default=False, repr=False)
    """``Attribute.UID`` stands first only because of the UID form."""


class StoreMode(Enum):
    """What STORE does with the flags it names."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@value_class(frozen=True, slots=True)
class StoreCommand:
    """``STORE``, ``UID STORE``."""

    numbers: SequenceSet
    mode: StoreMode
    flags: frozenset[str]
    silent: bool
    uid: bool
    unchanged_since: int | None = None
    """Only messages without a larger MODSEQ (RFC 7162 section 3.1.3)."""


@value_class(frozen=True, slots=True)
class Copy:
    """``COPY``, ``UID COPY``; ``MOVE``, ``UID MOVE``. (RFC 6851)"""

    numbers: SequenceSet
    mailbox: str
    move: bool
    uid: bool


Command = (
    Capability
    | NoopCommand
    | Logout
    | Id
    | StartTlsCommand
    | Authenticate
    | LoginCommand
    | Enable
    | Compress
    | Unauthenticate
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Lsub
    | StatusCommand
    | Namespace
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | AppendCommand
    | Idle
    | Check
    | Close
    | Unselect
    | Expunge
    | Search
    | Sort
    | Thread
    | MultiSearch
    | Fetch
    | StoreCommand
    | Copy
    | AclCommand
    | MetadataCommand
    | NotifyCommand
)
"""A line of the client that starts something."""

Event = Command | AuthenticateResponse | AppendMore | LiteralChunk | AppendEnd | IdleDone
