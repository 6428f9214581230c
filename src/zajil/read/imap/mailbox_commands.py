"""Which command about mailboxes goes where."""

from __future__ import annotations

from zajil.imap import command as c
from zajil.imap.acl import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from zajil.imap.metadata import GetMetadata, SetMetadata
from zajil.imap.notify import NotifyCommand
from zajil.imap.quota import GetQuota, GetQuotaRoot, SetQuota
from zajil.imap.response import Completion
from zajil.read.imap import mailbox_admin, mailbox_list, quota
from zajil.read.imap.acl import answer_acl
from zajil.read.imap.context import Context
from zajil.read.imap.metadata import answer_metadata
from zajil.read.imap.notify import notify


async def answer_about_mailboxes(context: Context, event: c.Event) -> Completion:
    """Answer a command that needs no selected mailbox.

    Raises:
        NoRight: the account may see a mailbox, and not do this with it.
    """
    match event:
        case c.Create():
            return await mailbox_admin.create(context, event)
        case c.Delete():
            return await mailbox_admin.delete(context, event)
        case c.Rename():
            return await mailbox_admin.rename(context, event)
        case c.Subscribe():
            return await mailbox_admin.subscribe(context, event)
        case c.StatusCommand():
            return await mailbox_admin.status(context, event)
        case c.List():
            return await mailbox_list.list_(context, event)
        case c.Lsub():
            return await mailbox_list.lsub(context, event)
        case c.Namespace():
            return mailbox_list.namespace(context)
        case NotifyCommand():
            return await notify(context, event)
        case GetQuota():
            return await quota.get_quota(context, event)
        case GetQuotaRoot():
            return await quota.get_quota_root(context, event)
        case SetQuota():
            return quota.set_quota(event)
        case SetAcl() | DeleteAcl() | GetAcl() | ListRights() | MyRights():
            return await answer_acl(context, event)
        case GetMetadata() | SetMetadata():
            return await answer_metadata(context, event)
    raise RuntimeError(f"no answer to {type(event).__name__}")
