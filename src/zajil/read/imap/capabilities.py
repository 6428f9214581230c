"""What a client is told that it can use. (RFC 3501 section 6.1.1)"""

from __future__ import annotations

from collections.abc import Iterable

_ALWAYS = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "ID", "ENABLE")
_LOGGED_IN = (
    *("IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN"),
    *("ACL", "RIGHTS=kxte", "LIST-MYRIGHTS", "CREATE-SPECIAL-USE", "STATUS=SIZE"),
    *("METADATA", "LIST-METADATA", "NOTIFY"),
    *("SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS", "OBJECTID"),
    *("CONDSTORE", "QRESYNC", "UIDONLY", "PREVIEW"),
    *("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "QUOTA=RES-MAILBOX"),
    *("BINARY", "MULTIAPPEND", "CATENATE", "REPLACE", "UNAUTHENTICATE", "UTF8=ACCEPT"),
    *("ESEARCH", "SEARCHRES", "WITHIN", "SAVEDATE", "INPROGRESS", "PARTIAL"),
    *("MULTISEARCH", "SEARCH=FUZZY", "I18NLEVEL=1"),
    *("SORT", "SORT=DISPLAY", "ESORT", "THREAD=REFERENCES", "THREAD=ORDEREDSUBJECT"),
)
"""An extension stands here only when it works entirely."""


def capabilities_before_login(mechanisms: Iterable[str], *, encrypted: bool, starttls: bool) -> str:
    """Return the words for a client that has not logged in.

    Args:
        mechanisms: of SASL.
        encrypted: TLS is active.
        starttls: it can be started where it is not active.
    """
    if encrypted:
        return " ".join((*_ALWAYS, "SASL-IR", *(f"AUTH={name}" for name in mechanisms)))
    # Security: no password in the clear (RFC 8314 section 4.1).
    return " ".join((*_ALWAYS, "SASL-IR", *(["STARTTLS"] if starttls else []), "LOGINDISABLED"))


def capabilities_after_login(max_message: int, *, compressed: bool) -> str:
    """Return the words for a client that has logged in.

    Args:
        max_message: bytes that APPEND takes.
        compressed: COMPRESS is active, and cannot be started again.
    """
    words = (*_ALWAYS, *_LOGGED_IN, f"APPENDLIMIT={max_message}")
    return " ".join(words if compressed else (*words, "COMPRESS=DEFLATE"))
