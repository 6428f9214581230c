"""Notices of mailboxes that are nearly full: one mail to the owner, in both languages.

Sent when 80 and when 95 percent of a limit are reached, once for each time. Usage has to fall
clearly below a mark before it can be reached again.
"""

from __future__ import annotations

from contextlib import suppress

from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.message.build import (
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.route.recipient import Local
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.store.mail.quota_notices import QuotaNotice, tell_quota
from zajil.store.mail.room import Usage, list_usage
from zajil.store.people.directory import find_entry
from zajil.tracking.events import QuotaReached

MARKS = (95, 80)
"""Percent at which an owner is told, the highest first."""
_FALL = 5
"""Percent below a mark at which it may be reached again."""

_TEXTS = (
    "Your mailbox is {percent} % full",
    """\
Your mailbox {address} has used {percent} % of what it may hold.
When it is full, mail to you is refused.

Delete messages that you no longer need, large ones first. Deleted messages are removed
for good when the room is needed.
""",
    "صندوق بريدك ممتلئ بنسبة {percent} ٪",
    """\
استعمل صندوق بريدك {address} نسبة {percent} ٪ من سعته.
حين يمتلئ تُرفض الرسائل المرسلة إليك.

احذف الرسائل التي لم تعد تحتاج إليها، وابدأ بالكبيرة. وتُزال الرسائل المحذوفة نهائياً
عند الحاجة إلى مكانها.
""",
)


async def notify_of_full_mailboxes(mailer: OwnMailer) -> None:
    """Tell the owners of mailboxes that have reached a mark since the last call.

    Raises:
        StoreUnavailable: some were not told; the next call tells them.
    """
    caps = mailer.store.caps
    usages = await mailer.store.read(lambda conn: list_usage(conn, caps))
    for usage in usages.values():
        reached = reached_mark(usage.percent)
        if reached == usage.told:
            continue
        if reached < usage.told and usage.percent > usage.told - _FALL:
            continue
        with suppress(NoSuchMailbox):
            await _tell(mailer, usage, reached)


def reached_mark(percent: int) -> int:
    """Return the highest mark that is reached; 0: none."""
    return next((mark for mark in MARKS if percent >= mark), 0)


async def _tell(mailer: OwnMailer, usage: Usage, reached: int) -> None:
    store, now_ms = mailer.store, mailer.clock.now_ms()
    owner = await store.read(lambda conn: find_entry(conn, usage.account_id))
    if owner is None:
        return
    rises = reached > usage.told
    mails = (await _notice(mailer, owner, usage.percent, now_ms),) if rises else ()
    events = (QuotaReached(now_ms, str(owner.address), usage.percent),) if rises else ()
    notice = QuotaNotice(usage.account_id, usage.told, reached, now_ms, mails, events)
    await store.write(tell_quota, notice)


async def _notice(mailer: OwnMailer, owner: AccountEntry, percent: int, now_ms: int) -> Intake:
    postmaster = Address("postmaster", owner.address.domain)
    mail_id = mailer.new_mail_id(now_ms)
    return await mailer.prepare(
        OwnMail(
            mail_id=mail_id,
            at_ms=now_ms,
            message=write_notice(owner.address, percent, unique=mail_id, now_ms=now_ms),
            header_from=postmaster,
            message_id=f"<{mail_id}@{postmaster.domain}>",
            recipients=(Addressed(owner.address, Local((owner,))),),
        )
    )


def write_notice(to: Address, percent: int, *, unique: str, now_ms: int) -> bytes:
    """Write the mail to the owner of a mailbox."""
    postmaster = Address("postmaster", to.domain)
    values = {"address": to.unicode, "percent": percent}
    title, text, arabic_title, arabic_text = [one.format(**values) for one in _TEXTS]
    utf8 = not to.is_ascii
    header = [
        write_raw_field("Date", format_date(now_ms)),
        write_address_field("From", [("Postmaster", postmaster)], utf8=utf8),
        write_address_field("To", [("", to)], utf8=utf8),
        write_text_field("Subject", f"{title} · {arabic_title}", utf8=utf8),
        write_raw_field("Message-ID", f"<{unique}@{postmaster.domain}>"),
        # RFC 3834 section 5: no robot is to answer this.
        b"Auto-Submitted: auto-generated\r\n",
    ]
    return build_message(header, f"{text}\n{arabic_text}", unique=unique)
