"""Which command may come when, and where it leads. (RFC 3501 section 3)"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from zajil.imap import acl, metadata, notify
from zajil.imap import command as c
from zajil.imap.append_command import AppendCommand
from zajil.imap.quota import GetQuota, GetQuotaRoot, SetQuota
from zajil.imap.search_command import MultiSearch, Search, Sort, Thread


class ImapState(Enum):
    """The four states of RFC 3501 section 3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Reading(Enum):
    """What the next bytes of the client are."""

    LINE = auto()
    LITERAL = auto()
    BODY = auto()
    APPEND_END = auto()  # nothing: an APPEND without a literal, which was accepted
    SKIPPED_LINE = auto()  # the line behind a literal that was refused and came anyway
    CHALLENGED = auto()
    IDLING = auto()
    TLS = auto()  # nothing may come in the clear
    COMPRESSION = auto()  # nothing may come uncompressed


_ANY = frozenset({ImapState.NOT_AUTHENTICATED, ImapState.AUTHENTICATED, ImapState.SELECTED})
_LOGGED_IN = frozenset({ImapState.AUTHENTICATED, ImapState.SELECTED})
_SELECTED = frozenset({ImapState.SELECTED})
_STRANGER = frozenset({ImapState.NOT_AUTHENTICATED})

ALLOWED: Mapping[type[c.Command], frozenset[ImapState]] = {
    c.Capability: _ANY,
    c.NoopCommand: _ANY,
    c.Logout: _ANY,
    c.Id: _ANY,
    c.StartTlsCommand: _STRANGER,
    c.Authenticate: _STRANGER,
    c.LoginCommand: _STRANGER,
    # RFC 5161 section 3.1: after log-in, before a mailbox is selected; iOS sends it later too.
    c.Enable: _LOGGED_IN,
    c.Compress: _LOGGED_IN,
    c.Unauthenticate: _LOGGED_IN,
    c.Select: _LOGGED_IN,
    c.Create: _LOGGED_IN,
    c.Delete: _LOGGED_IN,
    c.Rename: _LOGGED_IN,
    c.Subscribe: _LOGGED_IN,
    c.List: _LOGGED_IN,
    c.Lsub: _LOGGED_IN,
    c.StatusCommand: _LOGGED_IN,
    c.Namespace: _LOGGED_IN,
    GetQuota: _LOGGED_IN,
    GetQuotaRoot: _LOGGED_IN,
    SetQuota: _LOGGED_IN,
    AppendCommand: _LOGGED_IN,
    c.Idle: _LOGGED_IN,
    c.Check: _SELECTED,
    c.Close: _SELECTED,
    c.Unselect: _SELECTED,
    c.Expunge: _SELECTED,
    Search: _SELECTED,
    Sort: _SELECTED,
    Thread: _SELECTED,
    MultiSearch: _LOGGED_IN,
    c.Fetch: _SELECTED,
    c.StoreCommand: _SELECTED,
    c.Copy: _SELECTED,
    acl.SetAcl: _LOGGED_IN,
    acl.DeleteAcl: _LOGGED_IN,
    acl.GetAcl: _LOGGED_IN,
    acl.ListRights: _LOGGED_IN,
    acl.MyRights: _LOGGED_IN,
    metadata.GetMetadata: _LOGGED_IN,
    notify.NotifyCommand: _LOGGED_IN,
    metadata.SetMetadata: _LOGGED_IN,
}
"""No state in the set: ``BAD``, the command is not for now."""

AFTER_OK: Mapping[type[c.Command], ImapState] = {
    c.LoginCommand: ImapState.AUTHENTICATED,
    c.Authenticate: ImapState.AUTHENTICATED,
    c.Select: ImapState.SELECTED,
    c.Unauthenticate: ImapState.NOT_AUTHENTICATED,
    c.Close: ImapState.AUTHENTICATED,
    c.Unselect: ImapState.AUTHENTICATED,
    c.Logout: ImapState.LOGOUT,
}
"""Commands that change the state when they end in OK; the others leave it."""

AFTER_NO: Mapping[type[c.Command], ImapState] = {
    # RFC 3501 section 6.3.1: a SELECT that fails leaves no mailbox selected.
    c.Select: ImapState.AUTHENTICATED,
}
