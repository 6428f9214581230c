"""What of an account stands in lists and in its description alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zajil.cli.output import spell_time

if TYPE_CHECKING:
    from zajil.store.mail.mail_sizes import MailSize
    from zajil.store.people.accounts import AccountRow
    from zajil.store.people.last_logins import LastLogin


def account_to_dict(row: AccountRow, mail: MailSize, last: LastLogin | None) -> dict[str, Any]:
    """Give what programs read of an account."""
    return {
        "login": row.login,
        "address": row.address.unicode,
        "name": row.display_name,
        "admin": row.admin,
        "active": row.active,
        "created_ms": row.created_ms,
        "messages": mail.messages,
        "size": mail.size,
        "last_login": None
        if last is None
        else {"at_ms": last.at_ms, "service": last.service, "peer": last.peer},
        "forward_to": [one.unicode for one in row.forward_to],
        "keeps_copy": row.keeps_copy,
    }


def spell_login(last: LastLogin | None) -> str:
    """Say when, how and from where an account logged in last."""
    if last is None:
        return "-"
    return f"{spell_time(last.at_ms)} by {last.service} from {last.peer}"


def spell_forwarding(row: AccountRow) -> str:
    """Say where the mail of an account goes, and whether it stays, too."""
    if not row.forward_to:
        return "-"
    names = ", ".join(one.unicode for one in row.forward_to)
    return f"{names} ({'and keeps a copy' if row.keeps_copy else 'and keeps no copy'})"
