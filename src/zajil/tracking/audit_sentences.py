"""Every audit event as one sentence, for the audit trail. Pure.

The English text is the key of the catalogs in ``web/locale``, as in ``tracking.sentences``.
"""

from __future__ import annotations

from collections.abc import Mapping

from zajil.core.actor import Interface
from zajil.tracking import audit
from zajil.tracking.audit import AuditEvent
from zajil.tracking.check_names import mark
from zajil.tracking.journey import readable
from zajil.tracking.sentences import Sentence

_PLAIN: Mapping[type[AuditEvent], str] = {
    audit.MessagesUndeleted: mark("Deleted messages of {subject} were restored: {count}."),
    audit.MessagesPurged: mark("Deleted messages of {subject} were removed for good: {count}."),
    audit.AccountRestored: mark(
        "The account {subject} ({address}) was restored from the backup {snapshot}."
    ),
    audit.MessagesRestored: mark(
        "Messages of {subject} were restored from the backup {snapshot}: {count}."
    ),
    audit.ContactsRestored: mark(
        "Contacts of {subject} were restored from the backup {snapshot}: {count}."
    ),
    audit.NodeDrained: mark("The node {subject} on {host} was drained."),
    audit.NodeForgotten: mark("The node {subject} on {host} was removed from the list of nodes."),
    audit.AccountExported: mark("All data of {subject} was exported."),
    audit.AccountErased: mark("An account was erased; the remaining records name it {subject}."),
    audit.MessagesImported: mark("Messages were imported for {subject} from {place}: {count}."),
    audit.MessagesExported: mark("Messages of {subject} were exported to {place}: {count}."),
    audit.SessionsEnded: mark("Browsers of {subject} were logged out: {count}."),
    audit.PasswordChanged: mark("The password of {subject} was changed."),
    audit.AccountSuspended: mark("The account {subject} was suspended."),
    audit.AccountResumed: mark("The account {subject} was resumed."),
    audit.AccountRemoved: mark("The account {subject} ({address}) was removed with all its mail."),
    audit.AccountRenamed: mark("An account was renamed from {before} to {after}."),
    audit.AppPasswordCreated: mark("An app password “{app_password}” was created for {subject}."),
    audit.AppPasswordRemoved: mark("The app password “{app_password}” of {subject} was removed."),
    audit.DelegationGranted: mark("{subject} may now send as {address}."),
    audit.DelegationRevoked: mark("{subject} may no longer send as {address}."),
    audit.MailboxShared: mark(
        "The mailbox {mailbox} of {subject} is shared with {identifier} (rights {rights})."
    ),
    audit.MailboxUnshared: mark(
        "The mailbox {mailbox} of {subject} is no longer shared with {identifier}."
    ),
    audit.MailboxOpened: mark("{actor} opened the mailbox {mailbox} of {subject}."),
    audit.JourneyOpened: mark("{actor} opened the delivery details of a message of {subject}."),
    audit.ShardCreated: mark("The shard {subject} was created."),
    audit.PlaceChanged: mark("The domain {subject} is now in the shard {place}."),
    audit.AccountMoved: mark("The account {subject} was moved from shard {before} to {after}."),
    audit.DomainAdded: mark("The domain {subject} was added."),
    audit.DomainRemoved: mark("The domain {subject} was removed."),
    audit.DomainAdminAdded: mark("The account {subject} now administers {domain}."),
    audit.DomainAdminRemoved: mark("The account {subject} no longer administers {domain}."),
    audit.NetworkReleased: mark("Log-ins from {subject} are no longer slowed."),
    audit.AccountLinked: mark("The account {subject} was linked with {source}."),
    audit.AccountUnlinked: mark("The account {subject} is no longer linked with {source}."),
    audit.RenewalRequested: mark("A new certificate for {subject} was requested."),
    audit.ReportImported: mark("A DMARC report of {organization} about {subject} was imported."),
}
"""Events whose sentence does not depend on their values."""
_KEYS = {
    "create": mark("DKIM keys of {subject} were created: {selectors}."),
    "activate": mark("DKIM keys of {subject} were activated: {selectors}."),
    "revoke": mark("DKIM keys of {subject} were revoked: {selectors}."),
}
_FACTORS = {
    "totp.added": mark("An authenticator app was added to {subject}."),
    "totp.removed": mark("The authenticator app of {subject} was removed."),
    "codes.made": mark("New recovery codes of {subject} were made."),
    "passkey.added": mark("The passkey “{passkey}” was added to {subject}."),
    "passkey.renamed": mark("A passkey of {subject} is now called “{passkey}”."),
    "passkey.removed": mark("The passkey “{passkey}” of {subject} was removed."),
    "reset": mark("All second factors of {subject} were removed."),
}
_QUEUE = {
    "hold": mark("Mail was held in the queue: {count}."),
    "release": mark("Held mail was released: {count}."),
    "retry": mark("Deferred mail was retried: {count}."),
    "expire": mark("Mail in the queue was returned to its senders: {count}."),
    "delete": mark("Mail was deleted from the queue: {count}."),
}
_ORIGINS: Mapping[str, str] = {
    Interface.COMMAND_LINE: mark("{actor} on the command line"),
    Interface.WEB: mark("{actor} on the web"),
    Interface.IMAP: mark("{actor} in a mail program"),
    Interface.DIRECTORY: mark("the directory of the organization"),
    Interface.SIGN_ON: mark("{actor}, by single sign-on"),
}


def describe_actor(event: AuditEvent) -> Sentence:
    """Return who made a change, and from where."""
    values = {"actor": event.actor, "peer": event.peer}
    if event.peer and event.origin == Interface.WEB:
        return Sentence(mark("{actor} on the web, from {peer}"), values)
    return Sentence(_ORIGINS.get(event.origin, "{actor}"), values)


def describe_change(event: AuditEvent) -> Sentence:
    """Return what was changed."""
    values: dict[str, str | int | Sentence] = {"subject": readable(event.subject)}
    names = ("address", "before", "after", "app_password", "organization", "snapshot", "domain")
    for name in (*names, "mailbox", "identifier", "rights", "actor", "place", "source"):
        value = getattr(event, name, None)
        if isinstance(value, str):
            values[name] = readable(value)
    count = getattr(event, "count", None)
    if isinstance(count, int):
        values["count"] = count
    match event:
        case audit.AccountCreated():
            text = _created(event.admin)
        case audit.QuotaChanged(size=size, messages=messages):
            values |= {"size": _limit(size), "messages": _limit(messages)}
            text = mark("The quota of {subject} is now: bytes {size}, messages {messages}.")
        case audit.AccountProfileChanged():
            values["name"] = event.display_name or "-"
            text = _profile(event.admin)
        case audit.AccountReleased():
            values |= {"count": event.mails, "until_ms": event.exempt_until_ms}
            text = _released(event.discarded)
        case audit.ForwardingChanged():
            values["targets"] = _list(event.targets)
            text = _forwarding(bool(event.targets), event.keeps_copy)
        case audit.AliasChanged():
            values |= {"before": _list(event.before), "after": _list(event.after)}
            text = _alias(bool(event.before), bool(event.after))
        case audit.SettingsChanged():
            values["settings"] = ", ".join(event.settings)
            text = mark("Settings of {subject} were changed: {settings}.")
        case audit.DkimKeysChanged():
            values["selectors"] = ", ".join(event.selectors)
            text = _KEYS.get(event.action, event.name)
        case audit.SecondFactorChanged():
            values["passkey"] = event.passkey
            text = _FACTORS.get(event.action, event.name)
        case audit.NotificationsChanged():
            text = _notified(event.action == "added")
        case audit.QueueChanged():
            values["count"] = len(event.mail_ids)
            text = _QUEUE.get(event.action, event.name)
        case audit.ClassifierTrained():
            text = _trained(event.is_junk)
        case _:
            text = _PLAIN.get(type(event), event.name)
    return Sentence(text, values)


def _notified(added: bool) -> str:
    if added:
        return mark("A browser of {subject} is notified of new mail.")
    return mark("A browser of {subject} is no longer notified of new mail.")


def _created(admin: bool) -> str:
    if admin:
        return mark("The administrator account {subject} ({address}) was created.")
    return mark("The account {subject} ({address}) was created.")


def _profile(admin: bool) -> str:
    if admin:
        return mark("{subject} is now an administrator, with the display name {name}.")
    return mark("{subject} is now an ordinary account, with the display name {name}.")


def _limit(value: int | None) -> str:
    """Return a limit as the command line takes it."""
    if value is None:
        return "default"
    return str(value) if value else "none"


def _released(discarded: bool) -> str:
    if discarded:
        return mark("The hold of {subject} was removed; held mail that was dropped: {count}.")
    return mark("The hold of {subject} was removed; held mail that was sent: {count}.")


def _forwarding(is_on: bool, keeps_copy: bool) -> str:
    if not is_on:
        return mark("Forwarding of {subject} was turned off.")
    if keeps_copy:
        return mark("Mail of {subject} is forwarded to {targets}, and a copy is kept.")
    return mark("Mail of {subject} is forwarded to {targets}, and no copy is kept.")


def _alias(was_there: bool, is_there: bool) -> str:
    if not is_there:
        return mark("The alias {subject} was removed; its targets were {before}.")
    if not was_there:
        return mark("The alias {subject} was created with the targets {after}.")
    return mark("The targets of the alias {subject} are now {after}; before: {before}.")


def _trained(is_junk: bool) -> str:
    if is_junk:
        return mark("The classifier learned a message as junk.")
    return mark("The classifier learned a message as wanted.")


def _list(addresses: tuple[str, ...]) -> str:
    return ", ".join(map(readable, addresses))
