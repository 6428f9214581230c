"""Audit events: changes of the server's state by an operator or a user.

They are kept in a table of their own (``store.people.audit``), in the same commit as the change.
``tracking.audit_sentences`` words them.

Laws:
- ``name`` is stored: once released it never changes, nor does the meaning of a field.
- New fields are added at the end, with a default.
- An audit event never contains a password, a key, or the content of a message.
"""

from __future__ import annotations

from typing import ClassVar

from zajil.core.value_class import value_class
from zajil.tracking.events import TrackingEvent


@value_class(frozen=True, slots=True)
class AuditEvent(TrackingEvent):
    """Base of all audit events."""

    actor: str
    """Login name of an account, or the user that ran a command."""
    origin: str
    """A value of ``core.actor.Interface``."""
    peer: str
    """IP address of the client; ``""`` on the command line."""
    account_id: int | None
    """Account that was changed; ``None``: the change is not about one account."""
    subject: str
    """What was changed: login name, address or domain; ``""``: nothing with a name."""


@value_class(frozen=True, slots=True)
class AccountCreated(AuditEvent):
    """An account was created."""

    name: ClassVar[str] = "account.created"
    address: str
    admin: bool


@value_class(frozen=True, slots=True)
class AccountRenamed(AuditEvent):
    """The login name or the address of an account changed."""

    name: ClassVar[str] = "account.renamed"
    before: str
    """``login <address>``."""
    after: str


@value_class(frozen=True, slots=True)
class AccountProfileChanged(AuditEvent):
    """The display name or the role of an account was set; these are the values now."""

    name: ClassVar[str] = "account.profile"
    display_name: str
    admin: bool


@value_class(frozen=True, slots=True)
class QuotaChanged(AuditEvent):
    """The limits of an account were set."""

    name: ClassVar[str] = "account.quota"
    size: int | None
    """Bytes; 0: no limit; ``None``: that of the configuration."""
    messages: int | None


@value_class(frozen=True, slots=True)
class MessagesUndeleted(AuditEvent):
    """Deleted messages were put back into their mailboxes."""

    name: ClassVar[str] = "messages.undeleted"
    count: int


@value_class(frozen=True, slots=True)
class MessagesPurged(AuditEvent):
    """Deleted messages were removed for good."""

    name: ClassVar[str] = "messages.purged"
    count: int


@value_class(frozen=True, slots=True)
class AccountRestored(AuditEvent):
    """An account that was gone was created again from a backup."""

    name: ClassVar[str] = "account.restored"
    address: str
    snapshot: str
    """Name of the snapshot."""


@value_class(frozen=True, slots=True)
class MessagesRestored(AuditEvent):
    """The restore of messages from a backup began."""

    name: ClassVar[str] = "messages.restored"
    snapshot: str
    count: int
    """Messages that were missing."""


@value_class(frozen=True, slots=True)
class ContactsRestored(AuditEvent):
    """Contacts were restored from a backup."""

    name: ClassVar[str] = "contacts.restored"
    snapshot: str
    count: int


@value_class(frozen=True, slots=True)
class AccountExported(AuditEvent):
    """Everything about the person of an account was written to a folder."""

    name: ClassVar[str] = "account.exported"


@value_class(frozen=True, slots=True)
class AccountErased(AuditEvent):
    """A person was erased; ``subject`` is what stands for the person in what is left."""

    name: ClassVar[str] = "account.erased"


@value_class(frozen=True, slots=True)
class MessagesImported(AuditEvent):
    """Messages were moved in from elsewhere."""

    name: ClassVar[str] = "messages.imported"
    count: int
    place: str
    """Folder, file or account that they came from."""


@value_class(frozen=True, slots=True)
class MessagesExported(AuditEvent):
    """Messages were copied to a place outside of the server."""

    name: ClassVar[str] = "messages.exported"
    count: int
    place: str
    """Folder or account that they went to."""


@value_class(frozen=True, slots=True)
class PasswordChanged(AuditEvent):
    """The password of an account was set."""

    name: ClassVar[str] = "account.password"


@value_class(frozen=True, slots=True)
class AccountSuspended(AuditEvent):
    """An account can no longer log in."""

    name: ClassVar[str] = "account.suspended"


@value_class(frozen=True, slots=True)
class AccountResumed(AuditEvent):
    """A suspended account can log in again."""

    name: ClassVar[str] = "account.resumed"


@value_class(frozen=True, slots=True)
class AccountRemoved(AuditEvent):
    """An account was removed with all its mail."""

    name: ClassVar[str] = "account.removed"
    address: str


@value_class(frozen=True, slots=True)
class AccountLinked(AuditEvent):
    """Somebody in a directory or at an OpenID provider was linked with an account."""

    name: ClassVar[str] = "account.linked"
    source: str
    """``ldap``, or the address of the provider."""


@value_class(frozen=True, slots=True)
class AccountUnlinked(AuditEvent):
    """A link to a directory or an OpenID provider was removed."""

    name: ClassVar[str] = "account.unlinked"
    source: str


@value_class(frozen=True, slots=True)
class AccountReleased(AuditEvent):
    """The outbound hold of an account was removed."""

    name: ClassVar[str] = "account.released"
    mails: int
    """Number of mails that were held."""
    discarded: bool
    """They were dropped instead of sent."""
    exempt_until_ms: int
    """The account is not held again before this time."""


@value_class(frozen=True, slots=True)
class ForwardingChanged(AuditEvent):
    """The forwarding of an account was set."""

    name: ClassVar[str] = "account.forwarding"
    targets: tuple[str, ...]
    """Empty: forwarding is off."""
    keeps_copy: bool


@value_class(frozen=True, slots=True)
class SettingsChanged(AuditEvent):
    """Settings of an account were changed; their values are not recorded."""

    name: ClassVar[str] = "account.settings"
    settings: tuple[str, ...]
    """Names."""


@value_class(frozen=True, slots=True)
class SessionsEnded(AuditEvent):
    """Log-ins of browsers were ended from another browser."""

    name: ClassVar[str] = "account.sessions"
    count: int


@value_class(frozen=True, slots=True)
class SecondFactorChanged(AuditEvent):
    """A second factor of an account was added, renamed or removed."""

    name: ClassVar[str] = "account.second_factor"
    action: str
    """``totp.added``, ``totp.removed``, ``codes.made``, ``passkey.added``, ``passkey.renamed``,
    ``passkey.removed`` or ``reset``."""
    passkey: str
    """The name its owner gave it; ``""``: it is about no passkey."""


@value_class(frozen=True, slots=True)
class NotificationsChanged(AuditEvent):
    """A browser is told of new mail from now on, or no more."""

    name: ClassVar[str] = "account.notifications"
    action: str
    """``added`` or ``removed``."""


@value_class(frozen=True, slots=True)
class AppPasswordCreated(AuditEvent):
    """An app password was created."""

    name: ClassVar[str] = "app_password.created"
    app_password: str
    """The name its owner gave it."""
    scope: str


@value_class(frozen=True, slots=True)
class AppPasswordRemoved(AuditEvent):
    """An app password was removed."""

    name: ClassVar[str] = "app_password.removed"
    app_password: str


@value_class(frozen=True, slots=True)
class DelegationGranted(AuditEvent):
    """An account may send as an address of another."""

    name: ClassVar[str] = "delegation.granted"
    address: str


@value_class(frozen=True, slots=True)
class DelegationRevoked(AuditEvent):
    """An account may no longer send as an address of another."""

    name: ClassVar[str] = "delegation.revoked"
    address: str


@value_class(frozen=True, slots=True)
class MailboxShared(AuditEvent):
    """Another account has rights on a mailbox."""

    name: ClassVar[str] = "mailbox.shared"
    mailbox: str
    identifier: str
    """Login name, or ``anyone``."""
    rights: str
    """Letters of RFC 4314."""


@value_class(frozen=True, slots=True)
class MailboxUnshared(AuditEvent):
    """Another account has no rights on a mailbox any more."""

    name: ClassVar[str] = "mailbox.unshared"
    mailbox: str
    identifier: str


@value_class(frozen=True, slots=True)
class MailboxOpened(AuditEvent):
    """Another account has opened a mailbox; once for each reader, mailbox and day (UTC)."""

    name: ClassVar[str] = "mailbox.opened"
    mailbox: str


@value_class(frozen=True, slots=True)
class JourneyOpened(AuditEvent):
    """An administrator has opened the journey of a mail of the account.

    Recorded once for each administrator, account and day (UTC).
    """

    name: ClassVar[str] = "journey.opened"


@value_class(frozen=True, slots=True)
class AliasChanged(AuditEvent):
    """An alias was created, changed or removed."""

    name: ClassVar[str] = "alias.changed"
    before: tuple[str, ...]
    """Targets before; empty: the alias is new."""
    after: tuple[str, ...]
    """Targets now; empty: the alias was removed."""


@value_class(frozen=True, slots=True)
class DomainAdded(AuditEvent):
    """A domain was added to this server."""

    name: ClassVar[str] = "domain.added"
    postmaster: str
    """Target of its role addresses; ``""``: none was set."""


@value_class(frozen=True, slots=True)
class DomainRemoved(AuditEvent):
    """A domain was removed from this server."""

    name: ClassVar[str] = "domain.removed"


@value_class(frozen=True, slots=True)
class DomainAdminAdded(AuditEvent):
    """An account may now change what belongs to a domain."""

    name: ClassVar[str] = "domain.admin_added"
    domain: str


@value_class(frozen=True, slots=True)
class DomainAdminRemoved(AuditEvent):
    """An account may no longer change what belongs to a domain."""

    name: ClassVar[str] = "domain.admin_removed"
    domain: str


@value_class(frozen=True, slots=True)
class DkimKeysChanged(AuditEvent):
    """Somebody created, activated or revoked DKIM keys of a domain."""

    name: ClassVar[str] = "dkim.changed"
    action: str
    """``create``, ``activate`` or ``revoke``."""
    selectors: tuple[str, ...]


@value_class(frozen=True, slots=True)
class QueueChanged(AuditEvent):
    """Somebody held, released, retried, expired or deleted mails in the queue."""

    name: ClassVar[str] = "queue.changed"
    action: str
    reason: str
    mail_ids: tuple[str, ...]


@value_class(frozen=True, slots=True)
class ReportImported(AuditEvent):
    """A DMARC report was imported from a file."""

    name: ClassVar[str] = "dmarc.imported"
    organization: str


@value_class(frozen=True, slots=True)
class ClassifierTrained(AuditEvent):
    """The classifier was trained with a message by hand."""

    name: ClassVar[str] = "training.message"
    is_junk: bool


@value_class(frozen=True, slots=True)
class NetworkReleased(AuditEvent):
    """The failed log-ins of a network were forgotten; its log-ins are no longer slowed."""

    name: ClassVar[str] = "login.released"


@value_class(frozen=True, slots=True)
class RenewalRequested(AuditEvent):
    """Somebody asked for a new certificate of a name before its time."""

    name: ClassVar[str] = "certificate.requested"


@value_class(frozen=True, slots=True)
class NodeDrained(AuditEvent):
    """A node accepts nothing new until its next start."""

    name: ClassVar[str] = "node.drained"
    host: str


@value_class(frozen=True, slots=True)
class NodeForgotten(AuditEvent):
    """A node that has stopped or is gone was removed from the list of nodes."""

    name: ClassVar[str] = "node.forgotten"
    host: str


@value_class(frozen=True, slots=True)
class ShardCreated(AuditEvent):
    """A further store for some of the domains was created; ``subject`` is its name."""

    name: ClassVar[str] = "shard.created"


@value_class(frozen=True, slots=True)
class PlaceChanged(AuditEvent):
    """A domain is in another shard from now on."""

    name: ClassVar[str] = "shard.place"
    place: str
    """Name of the shard."""


@value_class(frozen=True, slots=True)
class AccountMoved(AuditEvent):
    """An account was moved from one shard to another."""

    name: ClassVar[str] = "account.moved"
    before: str
    """Name of the shard."""
    after: str


AUDIT_EVENTS: dict[str, type[AuditEvent]] = {
    event.name: event
    for event in (
        AccountCreated,
        AccountRenamed,
        AccountProfileChanged,
        QuotaChanged,
        AccountLinked,
        AccountUnlinked,
        MessagesUndeleted,
        MessagesPurged,
        AccountRestored,
        MessagesRestored,
        ContactsRestored,
        AccountExported,
        AccountErased,
        MessagesImported,
        MessagesExported,
        PasswordChanged,
        AccountSuspended,
        AccountResumed,
        AccountRemoved,
        AccountReleased,
        ForwardingChanged,
        SettingsChanged,
        SessionsEnded,
        SecondFactorChanged,
        NotificationsChanged,
        AppPasswordCreated,
        AppPasswordRemoved,
        DelegationGranted,
        DelegationRevoked,
        MailboxShared,
        MailboxUnshared,
        MailboxOpened,
        JourneyOpened,
        AliasChanged,
        DomainAdded,
        DomainRemoved,
        DomainAdminAdded,
        DomainAdminRemoved,
        DkimKeysChanged,
        QueueChanged,
        ReportImported,
        ClassifierTrained,
        NetworkReleased,
        RenewalRequested,
        NodeDrained,
        NodeForgotten,
        ShardCreated,
        PlaceChanged,
        AccountMoved,
    )
}
