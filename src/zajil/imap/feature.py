"""What a client may switch on for its connection: ENABLE. (RFC 5161)"""

from __future__ import annotations

from enum import Enum


class Feature(Enum):
    """One extension that changes responses once the client has enabled it."""

    CONDSTORE = "CONDSTORE"
    """MODSEQ in responses. (RFC 7162 section 3.1)"""
    QRESYNC = "QRESYNC"
    """VANISHED in place of EXPUNGE; enables CONDSTORE too. (RFC 7162 section 3.2)"""
    UTF8_ACCEPT = "UTF8=ACCEPT"
    """UTF-8 in quoted strings and mailbox names. (RFC 9755)"""
    IMAP4REV2 = "IMAP4REV2"
    """The responses of RFC 9051, and UTF-8 as with UTF8=ACCEPT."""
    UIDONLY = "UIDONLY"
    """No sequence numbers. (RFC 9586)"""

    @property
    def wire(self) -> bytes:
        """Return the name as CAPABILITY has it."""
        return b"IMAP4rev2" if self is Feature.IMAP4REV2 else self.value.encode("ascii")


UTF8_FEATURES = frozenset({Feature.UTF8_ACCEPT, Feature.IMAP4REV2})
"""With one of these enabled, mailbox names are UTF-8 and no longer modified UTF-7."""
