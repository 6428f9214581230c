"""``zajil backup restore-account``: one account, one mailbox or some days of a backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.backup_place import KeyFile, Place, Which, opened_backups
from zajil.cli.configured import open_operations
from zajil.cli.errors import WrongUsage
from zajil.cli.output import (
    AsJson,
    print_json,
    print_table,
    printable,
    progress_bar,
    spell_count,
    spell_size,
    spell_time,
)
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.operations.restore_account import Restored, RestoreWanted
    from zajil.operations.run import Runner
    from zajil.store.backup.read import Snapshot
    from zajil.store.restore.plan import RestorePlan

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of the command that say what is restored."""

    account: str
    mailbox: str | None
    since: str | None
    until: str | None
    into: str | None
    contacts: bool
    ignore_quota: bool
    dry_run: bool
    as_json: bool


def restore_account(
    context: typer.Context,
    who: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT", help="Login name or address of the account, now or in the backup."
        ),
    ],
    mailbox: Annotated[
        str | None,
        typer.Option(help="Only this mailbox, as it was called, and those below it."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Only messages received on this day (UTC) or later."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Only messages received on this day (UTC) or before."),
    ] = None,
    contacts: Annotated[
        bool, typer.Option("--contacts", help="Restore contacts only, and no messages.")
    ] = False,
    into: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Restore into this account instead."),
    ] = None,
    ignore_quota: Annotated[
        bool,
        typer.Option("--ignore-quota", help="Restore more than the account may have."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be restored.")
    ] = False,
    snapshot: Which = None,
    place: Place = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Restore an account, a mailbox or some days of a backup, while the server runs.

    What is missing is added, and nothing that is there is changed. A message that the account still
    has, in whichever mailbox, is left alone; others become new messages with their flags and
    dates. A mailbox that is gone is created again, and an account that is gone as well, with its
    password, settings, aliases, contacts and learned words. A second run restores nothing twice;
    after an interruption it continues.

    Exit status: 0 done, 1 failed, or messages are damaged in the backup, 2 wrong usage.
    """
    from zajil.operations.backup import find_snapshot

    options = _Options(
        account=who,
        mailbox=mailbox,
        since=since,
        until=until,
        into=into,
        contacts=contacts,
        ignore_quota=ignore_quota,
        dry_run=dry_run,
        as_json=as_json,
    )
    backups = opened_backups(context, place, key_file)
    with open_operations(context) as operations:
        _restore(operations, find_snapshot(backups, snapshot), options)


def _restore(runner: Runner, snapshot: Snapshot, options: _Options) -> None:
    from zajil.operations.restore_account import account_in_backup, plan_account
    from zajil.operations.restore_account import restore_account as restore

    wanted = _wanted(snapshot, options)
    if options.contacts:
        _restore_contacts(runner, snapshot, options, wanted)
        return
    with account_in_backup(runner.store, snapshot, options.account, wanted) as source:
        if options.dry_run:
            plan = runner.read(lambda conn: plan_account(conn, source, wanted))
            _print_plan(snapshot, plan, options)
            return
        with progress_bar("restoring messages", quiet=options.as_json) as progress:
            done = runner.run(restore, source, wanted, progress)
    _print_done(snapshot, done, options)
    raise typer.Exit(NOT_DONE if done.lost else 0)


def _wanted(snapshot: Snapshot, options: _Options) -> RestoreWanted:
    from zajil.operations.restore_account import RestoreWanted
    from zajil.store.restore.source import Choice

    since = _day(options.since, "--since")
    until = _day(options.until, "--until")
    if since is not None and until is not None and since > until:
        raise WrongUsage("--until is before --since")
    if options.contacts and (options.mailbox or options.since or options.until):
        raise WrongUsage("--contacts restores contacts only: leave out --mailbox and the days")
    choice = Choice(
        mailbox=options.mailbox,
        since_ms=since,
        until_ms=None if until is None else until + _DAY_MS,
    )
    return RestoreWanted(
        choice=choice,
        into=options.into,
        ignores_quota=options.ignore_quota,
        snapshot=snapshot.name,
    )


def _day(text: str | None, option: str) -> int | None:
    """Return the beginning of a day (UTC) in milliseconds since 1970."""
    if text is None:
        return None
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise WrongUsage(f"{option}: {text!r} is not a day like 2026-11-23") from None


def _restore_contacts(
    runner: Runner, snapshot: Snapshot, options: _Options, wanted: RestoreWanted
) -> None:
    from zajil.operations.restore_account import account_in_backup, restore_account_contacts

    who = options.account
    with account_in_backup(runner.store, snapshot, who, wanted, mail=False) as source:
        count = runner.run(restore_account_contacts, source, wanted, is_trial=options.dry_run)
    if options.as_json:
        print_json({"snapshot": snapshot.name, "contacts": count, "dry_run": options.dry_run})
    elif options.dry_run:
        print(f"would restore {spell_count(count, 'contact')} of {printable(who)}")
    else:
        print(f"restored {spell_count(count, 'contact')} of {printable(who)}")


def _print_plan(snapshot: Snapshot, plan: RestorePlan, options: _Options) -> None:
    if options.as_json:
        print_json(_json(snapshot, plan) | {"dry_run": True})
        return
    print(f"snapshot {snapshot.name}")
    was = plan.source
    if plan.target is None:
        print(printable(f"account {was.login} ({was.address.unicode}) would be created again"))
    else:
        now = plan.target
        print(printable(f"account {now.login} ({now.address.unicode}) exists"))
    rows = [
        [
            one.name,
            str(one.in_backup),
            str(one.missing),
            spell_size(one.missing_size),
            "(created again)" if one.target is None else one.target.name,
        ]
        for one in plan.mailboxes
    ]
    if rows:
        print_table(["MAILBOX", "IN BACKUP", "MISSING", "SIZE", "RESTORED INTO"], rows)
    print(f"would restore {spell_count(plan.missing, 'message')} ({spell_size(plan.missing_size)})")


def _print_done(snapshot: Snapshot, done: Restored, options: _Options) -> None:
    plan = done.plan
    if options.as_json:
        made = done.account
        extra: dict[str, Any] = {
            "restored": done.messages,
            "lost": len(done.lost),
            "account_created": made is not None,
            "aliases": [] if made is None else [one.unicode for one in made.aliases],
            "not_restored": [] if made is None else list(made.not_restored),
        }
        print_json(_json(snapshot, plan) | extra)
        return
    login = (plan.target or plan.source).login
    if done.account is not None:
        print(printable(f"created the account {login} again, with its password and settings"))
        _print_names("aliases", [one.unicode for one in done.account.aliases])
        for sentence in done.account.not_restored:
            print(printable(f"not restored: {sentence}"))
    _print_names("mailboxes created again", plan.new_mailboxes)
    there = sum(one.in_backup for one in plan.mailboxes) - plan.missing
    restored = spell_count(done.messages, "message")
    print(printable(f"restored {restored} of {login}; there before: {there}"))
    if done.lost:
        print(f"not restored, damaged in the backup: {spell_count(len(done.lost), 'message')}")
        names = {one.source_id: one.name for one in plan.mailboxes}
        for row in done.lost.values():
            name, at = names[row.mailbox_id], spell_time(row.received_at_ms)
            print(printable(f"  {name}: UID {row.uid} in the backup, received {at}"))


def _print_names(title: str, names: Sequence[str]) -> None:
    if names:
        print(printable(f"{title}: {', '.join(names)}"))


def _json(snapshot: Snapshot, plan: RestorePlan) -> dict[str, Any]:
    return {
        "snapshot": snapshot.name,
        "account": (plan.target or plan.source).login,
        "exists": plan.target is not None,
        "mailboxes": [
            {
                "name": one.name,
                "in_backup": one.in_backup,
                "missing": one.missing,
                "missing_bytes": one.missing_size,
                "restored_into": None if one.target is None else one.target.name,
            }
            for one in plan.mailboxes
        ],
    }
