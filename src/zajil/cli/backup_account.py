"""``zajil backup restore --account``: one account, one mailbox or some days of a backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zajil.cli.errors import WrongUsage
from zajil.cli.output import print_json, print_table, printable, progress_bar, spell_size

if TYPE_CHECKING:
    from zajil.operations.restore_account import Restored, RestoreWanted
    from zajil.operations.run import Runner
    from zajil.store.backup.read import Snapshot
    from zajil.store.restore.plan import RestorePlan

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOptions:
    """The options of the command that are about one account."""

    account: str
    mailbox: str | None = None
    since: str | None = None
    until: str | None = None
    into: str | None = None
    contacts: bool = False
    ignore_quota: bool = False
    dry_run: bool = False
    as_json: bool = False


def restore_one_account(runner: Runner, snapshot: Snapshot, options: AccountOptions) -> None:
    """Restore what is missing, or print what is, and print what was done.

    Raises:
        WrongUsage: a day is not like 2026-11-23, or the options do not fit together.
        Refused, NotFound, AlreadyExists, Unavailable: as ``operations.restore_account``.
    """
    from zajil.operations.restore_account import account_in_backup, plan_account, restore_account

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
            done = runner.run(restore_account, source, wanted, progress)
    _print_done(snapshot, done, options)


def _wanted(snapshot: Snapshot, options: AccountOptions) -> RestoreWanted:
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
    runner: Runner, snapshot: Snapshot, options: AccountOptions, wanted: RestoreWanted
) -> None:
    from zajil.operations.restore_account import account_in_backup, restore_account_contacts

    who = options.account
    with account_in_backup(runner.store, snapshot, who, wanted, mail=False) as source:
        count = runner.run(restore_account_contacts, source, wanted, is_trial=options.dry_run)
    if options.as_json:
        print_json({"snapshot": snapshot.name, "contacts": count, "dry_run": options.dry_run})
    elif options.dry_run:
        print(f"would restore {count} contacts of {printable(who)}")
    else:
        print(f"restored {count} contacts of {printable(who)}")


def _print_plan(snapshot: Snapshot, plan: RestorePlan, options: AccountOptions) -> None:
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
    print(f"would restore {plan.missing} messages ({spell_size(plan.missing_size)})")


def _print_done(snapshot: Snapshot, done: Restored, options: AccountOptions) -> None:
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
    print(printable(f"restored {done.messages} messages of {login}; {there} were not missing"))
    if done.lost:
        print(f"not restored: {len(done.lost)} messages that are damaged in the backup:")
        for blob_id in done.lost:
            print(f"  {blob_id}")


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
