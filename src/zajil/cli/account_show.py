"""``zajil account list`` and ``show``, and how other commands print an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from zajil.cli.app_password import app_password_to_dict
from zajil.cli.configured import opened_store
from zajil.cli.output import (
    AsJson,
    Who,
    print_json,
    print_table,
    printable,
    spell_size,
    spell_time,
)
from zajil.cli.quota import spell_usage, usage_to_dict
from zajil.core.domain import to_unicode

if TYPE_CHECKING:
    from zajil.operations.accounts import AccountDetail, AccountUse
    from zajil.store.people.accounts import AccountRow
    from zajil.store.people.last_logins import LastLogin


def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the accounts.

    Exit status: 0 done, 2 wrong usage.
    """
    from zajil.operations.accounts import show_accounts

    with opened_store(context) as store:
        found = store.read_now(lambda conn: show_accounts(conn, store.caps))
    if as_json:
        print_json({"accounts": [_use_to_dict(one) for one in found]})
        return
    print_table(
        ["LOGIN", "ADDRESS", "ROLE", "STATE", "SINCE", "MESSAGES", "SIZE", "LAST LOGIN"],
        [
            [
                one.row.login,
                one.row.address.unicode,
                "admin" if one.row.admin else "-",
                "active" if one.row.active else "suspended",
                spell_time(one.row.created_ms),
                str(one.mail.messages),
                spell_size(one.mail.size),
                _spell_login(one.last_login),
            ]
            for one in found
        ],
    )


def show_one(context: typer.Context, who: Who, as_json: AsJson = False) -> None:
    """Show an account: addresses, app passwords, delegations, and how much it sent.

    Exit status: 0 done, 1 no such account, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.accounts import show_account

    now_ms = SystemClock().now_ms()
    with opened_store(context) as store:
        found = store.read_now(lambda conn: show_account(conn, who, now_ms, store.caps))
    if as_json:
        print_json(_detail_to_dict(found))
        return
    for label, value in _detail_lines(found):
        print(f"{label:17} {printable(value) or '-'}")


def account_to_dict(row: AccountRow) -> dict[str, Any]:
    """Return what every command prints of an account with ``--json``."""
    return {
        "login": row.login,
        "address": row.address.unicode,
        "name": row.display_name,
        "admin": row.admin,
        "forward_to": [one.unicode for one in row.forward_to],
        "keeps_copy": row.keeps_copy,
    }


def spell_forwarding(row: AccountRow) -> str:
    """Return where the mail of an account is forwarded, and whether a copy is kept."""
    if not row.forward_to:
        return "-"
    names = ", ".join(one.unicode for one in row.forward_to)
    return f"{names} ({'a copy is kept' if row.keeps_copy else 'no copy is kept'})"


def _use_to_dict(use: AccountUse) -> dict[str, Any]:
    row, last = use.row, use.last_login
    return {
        **account_to_dict(row),
        "active": row.active,
        "created_ms": row.created_ms,
        "messages": use.mail.messages,
        "size": use.mail.size,
        **usage_to_dict(use.mail),
        "last_login": None
        if last is None
        else {"at_ms": last.at_ms, "service": last.service, "peer": last.peer},
    }


def _detail_to_dict(found: AccountDetail) -> dict[str, Any]:
    return {
        **_use_to_dict(found.use),
        "aliases": [one.unicode for one in found.aliases],
        "may_send_as": [one.unicode for one in found.delegated],
        "delegates": [{"address": one.unicode, "login": login} for one, login in found.delegates],
        "app_passwords": [app_password_to_dict(one) for one in found.app_passwords],
        "linked_with": list(found.linked_with),
        "administers": [to_unicode(one) for one in found.administers],
        "recipients_this_minute": found.sent_in_minute,
        "recipients_today": found.sent_in_day,
        "strangers_today": found.strangers_in_day,
        "held_ms": found.held_ms,
        "held_mails": found.held_mails,
    }


def _detail_lines(found: AccountDetail) -> list[tuple[str, str]]:
    row, mail = found.use.row, found.use.mail
    return [
        ("login", row.login),
        ("address", row.address.unicode),
        ("name", row.display_name),
        ("role", "admin" if row.admin else "-"),
        ("state", "active" if row.active else "suspended"),
        ("since", spell_time(row.created_ms)),
        ("messages", f"{mail.messages}, {spell_size(mail.size)}"),
        ("quota", spell_usage(mail)),
        ("deleted", f"{mail.deleted_messages}, {spell_size(mail.deleted_size)}"),
        ("last login", _spell_login(found.use.last_login)),
        *([("forwards to", spell_forwarding(row))] if row.forward_to else ()),
        *(("alias", one.unicode) for one in found.aliases),
        *(("may send as", one.unicode) for one in found.delegated),
        *(("delegated", f"{one.unicode} to {login}") for one, login in found.delegates),
        *(("app password", f"{one.name} ({one.scope.value})") for one in found.app_passwords),
        *(("linked with", one) for one in found.linked_with),
        *(("administers", to_unicode(one)) for one in found.administers),
        ("sent this minute", f"to {found.sent_in_minute} recipients"),
        ("sent today (UTC)", f"to {found.sent_in_day} recipients"),
        ("new recipients", f"{found.strangers_in_day} today"),
        *_held_lines(found),
    ]


def _held_lines(found: AccountDetail) -> list[tuple[str, str]]:
    if found.held_ms is None:
        return []
    since = f"since {spell_time(found.held_ms)}: it suddenly wrote to many new recipients"
    return [("held", since), ("held mail", f"{found.held_mails}; see `zajil account release`")]


def _spell_login(last: LastLogin | None) -> str:
    if last is None:
        return "-"
    return f"{spell_time(last.at_ms)} by {last.service} from {last.peer}"
