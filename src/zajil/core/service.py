"""The services that a listener can offer, and the states of a recipient: each name once. Pure.

The values are used in the configuration (``listen.smtp``), in rows of the store and in events, so
they never change.
"""

from __future__ import annotations

from enum import StrEnum


class Service(StrEnum):
    """A service, named as its option in ``[listen]``."""

    SMTP = "smtp"
    """Mail from other servers, port 25."""
    SUBMISSION = "submission"
    """Mail from our users, STARTTLS before log-in (RFC 6409)."""
    SUBMISSIONS = "submissions"
    """Mail from our users, TLS from the first byte (RFC 8314 section 3.3)."""
    LMTP = "lmtp"
    """Mail for our own mailboxes from a program in front of this server (RFC 2033)."""
    IMAP = "imap"
    """Mailbox access, STARTTLS before log-in."""
    IMAPS = "imaps"
    """Mailbox access, TLS from the first byte (RFC 8314 section 3.2)."""
    POP3 = "pop3"
    """Mail for programs that fetch it, STLS before log-in."""
    POP3S = "pop3s"
    """Mail for programs that fetch it, TLS from the first byte (RFC 8314 section 3.1)."""
    WEB = "web"
    """Webmail and administration, without TLS."""
    HTTP = "http"
    """Challenges of certificate authorities, and a redirect to HTTPS."""
    HTTPS = "https"
    """Webmail, administration and what other servers and programs read, TLS from the first byte."""

    @property
    def is_smtp(self) -> bool:
        """Whether its connections speak SMTP or LMTP."""
        return self in (Service.SMTP, Service.SUBMISSION, Service.SUBMISSIONS, Service.LMTP)

    @property
    def is_imap(self) -> bool:
        """Whether its connections speak IMAP."""
        return self in (Service.IMAP, Service.IMAPS)

    @property
    def is_pop3(self) -> bool:
        """Whether its connections speak POP3."""
        return self in (Service.POP3, Service.POP3S)

    @property
    def is_submission(self) -> bool:
        """Whether users hand in mail by SMTP after they logged in."""
        return self in (Service.SUBMISSION, Service.SUBMISSIONS)

    @property
    def is_for_users(self) -> bool:
        """Whether our users hand in mail by it, by SMTP or in the browser."""
        return self.is_submission or self is Service.WEB

    @property
    def has_implicit_tls(self) -> bool:
        """Whether TLS starts with the first byte."""
        return self in (Service.SUBMISSIONS, Service.IMAPS, Service.POP3S, Service.HTTPS)


SMTP_SERVICES = tuple(one for one in Service if one.is_smtp)
IMAP_SERVICES = tuple(one for one in Service if one.is_imap)
POP3_SERVICES = tuple(one for one in Service if one.is_pop3)
MAIL_SERVICES = SMTP_SERVICES + IMAP_SERVICES + POP3_SERVICES


class RecipientState(StrEnum):
    """The state of one recipient of a mail."""

    WAITING = "waiting"
    """In the queue; the next attempt has a time."""
    HELD = "held"
    """In the queue; nothing is tried until an operator releases it."""
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    """Delivery failed for good."""
    EXPIRED = "expired"
    """Delivery failed until its time was over."""
    DISCARDED = "discarded"
    """An operator removed it from the queue."""
    REFUSED = "refused"
    """Never accepted; it stands in events only, and has no row."""


QUEUED = (RecipientState.WAITING, RecipientState.HELD)
"""The states of what is in the queue."""
