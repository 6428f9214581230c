"""What owner and postmaster are told of a held account: one mail each, in both languages. Pure.

The account may be in the hands of a thief, so the mail to the owner says nothing that helps one,
and holds no link.
"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.address import Address
from zajil.message.build import (
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date

_TO_OWNER = (
    "Your mail to other servers waits",
    """\
Your account {address} suddenly wrote to many people it had never written to.
That happens when somebody else knows the password.

What you send to other servers is kept here until the postmaster has looked at it;
nothing is lost. Mail to people on this server arrives, and so does mail for you.

- If you sent all this: answer this letter.
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
Send it:          zajil account unhold {login}
Drop it:          zajil account unhold {login} --discard
Lock the thief out:  zajil account password {login}
""",
    "محجوز: رسائل {login} إلى الخوادم الأخرى",
    """\
كتب الحساب {login} ({address}) فجأةً إلى كثيرين لا يعرفهم: {strangers} اليوم.
رسائله إلى الخوادم الأخرى محجوزة في الطابور منذ {since}. وما زال بإمكانه تسجيل الدخول.

للنظر فيها:  zajil queue list
لإرسالها:    zajil account unhold {login}
لإسقاطها:    zajil account unhold {login} --discard
لصدّ السارق:  zajil account password {login}
""",
)


@dataclass(frozen=True, slots=True)
class HeldAccount:
    """What there is to tell."""

    login: str
    address: Address
    since_ms: int
    strangers: int
    """On that day."""


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
