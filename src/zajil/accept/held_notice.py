"""Notices of a held account: one mail to its owner and one to the postmaster, in both languages.

Security: the account may be in the hands of a thief, so the mail to the owner says nothing that
helps one, and contains no link.
"""

from __future__ import annotations

from contextlib import suppress

from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.message.build import (
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.route.recipient import Local
from zajil.store.feedback.outbound_hold import (
    HeldNotice,
    StrangerCounts,
    claim_held_notices,
    find_untold,
    load_strangers,
)
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.store.people.accounts import AccountRow, get_account
from zajil.store.people.directory import find_entry

_TO_OWNER = (
    "Your mail to other servers waits",
    """\
Your account {address} suddenly wrote to many people it had never written to.
That happens when somebody else knows the password.

What you send to other servers is kept here until the postmaster has looked at it;
nothing is lost. Mail to people on this server arrives, and so does mail for you.

- If you sent all this: answer this message.
- If you did not: change your password now, and look for app passwords that you do not know.
""",
    "رسائلك إلى الخوادم الأخرى تنتظر",
    """\
كتب حسابك {address} فجأةً إلى كثيرين لم يكتب إليهم من قبل.
يحدث هذا حين يعرف شخص آخر كلمة المرور.

ما ترسله إلى الخوادم الأخرى محفوظ هنا حتى ينظر فيه مدير البريد، ولا يضيع منه شيء.
أما الرسائل إلى من هم على هذا الخادم فتصل، وكذلك ما يُرسل إليك.

- إن كنت أنت من أرسل هذا كله فأجب عن هذه الرسالة.
- وإن لم تكن فغيّر كلمة مرورك الآن، وابحث عن كلمات مرور تطبيقات لا تعرفها.
""",
)
_TO_POSTMASTER = (
    "Held: mail of {login} to other servers",
    """\
The account {login} ({address}) suddenly wrote to many strangers: {strangers} today.
Its mail to other servers is held in the queue since {since}. It can still log in.

See it:           zajil queue list
Send it:          zajil account release {login}
Drop it:          zajil account release {login} --discard
Lock the thief out:  zajil account password {login}
""",
    "محجوز: رسائل {login} إلى الخوادم الأخرى",
    """\
كتب الحساب {login} ({address}) فجأةً إلى كثيرين لا يعرفهم: {strangers} اليوم.
رسائله إلى الخوادم الأخرى محجوزة في الطابور منذ {since}. وما زال بإمكانه تسجيل الدخول.

للنظر فيها:  zajil queue list
لإرسالها:    zajil account release {login}
لإسقاطها:    zajil account release {login} --discard
لصدّ السارق:  zajil account password {login}
""",
)


@value_class(frozen=True, slots=True)
class HeldAccount:
    """The facts of a notice."""

    login: str
    address: Address
    since_ms: int
    strangers: int
    """New recipients on that day."""


def write_owner_notice(
    held: HeldAccount, postmaster: Address, *, unique: str, now_ms: int
) -> bytes:
    """Write the mail to the owner of the account."""
    return _write(_TO_OWNER, held, postmaster, held.address, unique, now_ms)


def write_postmaster_notice(
    held: HeldAccount, postmaster: Address, *, unique: str, now_ms: int
) -> bytes:
    """Write the mail to the postmaster."""
    return _write(_TO_POSTMASTER, held, postmaster, postmaster, unique, now_ms)


def _write(
    texts: tuple[str, str, str, str],
    held: HeldAccount,
    postmaster: Address,
    to: Address,
    unique: str,
    now_ms: int,
) -> bytes:
    values = {
        "login": held.login,
        "address": held.address.unicode,
        "strangers": held.strangers,
        "since": format_date(held.since_ms),
    }
    title, text, arabic_title, arabic_text = [one.format(**values) for one in texts]
    utf8 = not (to.is_ascii and postmaster.is_ascii)
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


# ---- sending --------------------------------------------------------------------------------


async def notify_of_held_accounts(mailer: OwnMailer) -> None:
    """Send the notices of all held accounts that have none yet.

    For upkeep: a worker may end between the commit that held an account and the notice.

    Raises:
        StoreUnavailable: some notices were not sent; the next call sends them.
    """
    for account_id in await mailer.store.read(find_untold):
        with suppress(NoSuchMailbox):
            await notify_of_held_account(mailer, account_id)


async def notify_of_held_account(mailer: OwnMailer, account_id: AccountId) -> None:
    """Send the notices of one held account, unless they were sent before.

    Both go into mailboxes of this server, wherever the recipients forward their mail.

    Raises:
        StoreUnavailable, NoSuchMailbox: no notice was sent.
    """
    store, now_ms = mailer.store, mailer.clock.now_ms()
    row, counts = await store.read(
        lambda conn: (get_account(conn, account_id), load_strangers(conn, account_id))
    )
    if row is None or counts.held_ms is None:
        return
    owner = await store.read(lambda conn: find_entry(conn, account_id))
    postmaster = await _find_postmaster(mailer, row.address.domain)
    mails: list[Intake] = []
    if owner is not None:
        mails.append(await _notice(mailer, row, counts, owner, now_ms, for_owner=True))
    if postmaster is not None:
        mails.append(await _notice(mailer, row, counts, postmaster, now_ms, for_owner=False))
    await store.write(claim_held_notices, HeldNotice(account_id, now_ms, tuple(mails)))


async def _find_postmaster(mailer: OwnMailer, domain: str) -> AccountEntry | None:
    postmaster = mailer.store.directory.postmaster
    route = await mailer.route(Address("postmaster", domain), postmaster)
    if not isinstance(route, Local):
        return None
    return route.entries[0] if route.entries else postmaster


async def _notice(
    mailer: OwnMailer,
    row: AccountRow,
    counts: StrangerCounts,
    to: AccountEntry,
    now_ms: int,
    *,
    for_owner: bool,
) -> Intake:
    held = HeldAccount(row.login, row.address, counts.held_ms or now_ms, counts.day_count)
    postmaster = Address("postmaster", row.address.domain)
    mail_id = mailer.new_mail_id(now_ms)
    write = write_owner_notice if for_owner else write_postmaster_notice
    addressed = row.address if for_owner else postmaster
    return await mailer.prepare(
        OwnMail(
            mail_id=mail_id,
            at_ms=now_ms,
            message=write(held, postmaster, unique=mail_id, now_ms=now_ms),
            header_from=postmaster,
            message_id=f"<{mail_id}@{postmaster.domain}>",
            recipients=(Addressed(addressed, Local((to,))),),
        )
    )
