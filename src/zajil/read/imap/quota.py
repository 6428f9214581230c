"""GETQUOTA, GETQUOTAROOT and SETQUOTA. (RFC 9208)

An account has one quota root, ``""``, for all its mailboxes. What it has deleted and can still take
back is in no mailbox: it is not part of the usage, because it gives way.
"""

from __future__ import annotations

from zajil.imap.quota import GetQuota, GetQuotaRoot, SetQuota
from zajil.imap.response import Completion, mailbox, parenthesized, untagged
from zajil.read.imap.context import NO_MAILBOX, Context
from zajil.store.mail.room import Usage, load_usage

ROOT = ""
_QUOTED_ROOT = b'""'
_NO_ROOT = Completion("NO", "there is no such quota root", "NONEXISTENT")
_NO_SET = Completion("NO", "only the administrator of the server sets quotas", "NOPERM")


async def get_quota(context: Context, command: GetQuota) -> Completion:
    """Send usage and limits of a quota root. (RFC 9208 section 4.1.1)"""
    if command.root != ROOT:
        return _NO_ROOT
    await _send_quota(context)
    return Completion("OK", "quota is sent")


async def get_quota_root(context: Context, command: GetQuotaRoot) -> Completion:
    """Send the quota root of a mailbox, with its usage and limits. (RFC 9208 section 4.1.2)"""
    box = await context.find_mailbox(command.mailbox, "r")
    if box is None:
        return NO_MAILBOX
    name = mailbox(command.mailbox, utf8=context.engine.utf8)
    if box.is_shared:
        # How full the mailboxes of others are is not told: this one has no quota root for us.
        context.engine.untagged(untagged(b"QUOTAROOT", name))
        return Completion("OK", "the mailbox is of another account")
    context.engine.untagged(untagged(b"QUOTAROOT", name, _QUOTED_ROOT))
    await _send_quota(context)
    return Completion("OK", "quota is sent")


def set_quota(command: SetQuota) -> Completion:
    """Refuse it: QUOTASET is not announced. (RFC 9208 section 4.1.3)"""
    return _NO_ROOT if command.root != ROOT else _NO_SET


async def _send_quota(context: Context) -> None:
    caps, owner = context.store.caps, context.account.account_id
    usage = await context.read(lambda conn: load_usage(conn, caps, owner))
    words = [] if usage is None else _resources(usage)
    context.engine.untagged(untagged(b"QUOTA", _QUOTED_ROOT, parenthesized(words)))


def _resources(usage: Usage) -> list[bytes]:
    """Return name, usage and limit of each resource that has a limit. (RFC 9208 section 5)"""
    found = (
        ("STORAGE", _kibibytes(usage.size), _kibibytes(usage.most_size)),
        ("MESSAGE", usage.messages, usage.most_messages),
        ("MAILBOX", usage.mailboxes, usage.most_mailboxes),
    )
    return [f"{name} {used} {most}".encode("ascii") for name, used, most in found if most]


def _kibibytes(size: int) -> int:
    return -(-size // 1024)
