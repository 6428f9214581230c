"""``zajil account export|erase``: everything that the server knows of one person."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.catalogue import keeping_track
from zajil.cli.configured import (
    chosen_shard,
    open_operations,
    read_configuration,
    read_whole_configuration,
)
from zajil.cli.errors import WrongUsage
from zajil.cli.moving_in import caller
from zajil.cli.output import (
    AsJson,
    Who,
    print_json,
    printable,
    progress_bar,
    spell_count,
    spell_size,
    spell_time,
)
from zajil.config.shards import shard_names
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.operations.erase_account import Erasure, ErasurePlan

Whoever = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="Address or login name of the account; of one that was removed, its address.",
    ),
]


def export(
    context: typer.Context,
    who: Who,
    folder: Annotated[Path, typer.Argument(help="Folder to write to; it is created.")],
    as_json: AsJson = False,
) -> None:
    """Export everything that the server knows of the person of an account.

    Mail and deleted mail as mbox files, contacts as vCard, settings, log-ins, sessions, journeys,
    the audit trail and what the junk filter learned as JSON; README.txt explains the files in
    English and Arabic. Passwords and keys are left out. The server may be running. If it was
    interrupted, run it again with the same folder.

    Exit status: 0 done, 1 no such account, the folder cannot be written, or messages were left out
    (they are listed), 2 wrong usage.
    """
    from zajil.operations.export_account import export_account

    owner = caller()
    with (
        open_operations(context) as operations,
        progress_bar("exporting", quiet=as_json) as progress,
    ):
        done = operations.run(export_account, who, folder.absolute(), owner, progress)
    reports = (done.mail, done.deleted)
    messages, deleted = [one.moved + one.known for one in reports]
    left = [item for one in reports for item in one.left_out]
    count = sum(one.left_out_count for one in reports)
    if as_json:
        print_json(
            {
                "folder": str(done.folder),
                "messages": messages,
                "deleted_messages": deleted,
                "contacts": done.contacts,
                "journeys": done.journeys,
                "sessions": done.sessions,
                "audit": done.changes,
                "left_out": [{"what": one.what, "why": one.why} for one in left],
            }
        )
    else:
        print(printable(f"exported to {done.folder}; README.txt explains the files"))
        print(f"messages: {messages}; deleted messages: {deleted}; contacts: {done.contacts}")
        print(f"journeys: {done.journeys}; sessions: {done.sessions}; audit: {done.changes}")
        for one in left:
            print(printable(f"left out: {one.what}: {one.why}"))
        if count > len(left):
            print(f"left out: {count - len(left)} more")
    raise typer.Exit(NOT_DONE if count else 0)


def erase(
    context: typer.Context,
    who: Whoever,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be erased.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase an account and all records of its person. This cannot be undone.

    It removes what `zajil account remove` removes, and the journeys of mail from and to the person,
    the sessions, and the entries of the audit trail about the account. In entries about other
    things, a number is written in the place of the person. At the end it prints what is left, and
    why. The server may be running. If it was interrupted, run it again with the address.

    Exit status: 0 done, 1 no such account, or it is the only target of an alias, 2 wrong usage.
    """
    from zajil.operations.erase_account import erase_account, plan_erasure, what_is_left

    configuration, elsewhere = read_configuration(context), _in_other_shards(context)
    with open_operations(context) as operations:
        caps = operations.store.caps
        plan = operations.read(lambda conn: plan_erasure(conn, who, caps))
        if not as_json:
            _print_plan(plan)
        if dry_run:
            if as_json:
                print_json(_plan_facts(plan))
            return
        if not yes:
            if not sys.stdin.isatty():
                raise WrongUsage("this erases a person; confirm with --yes, or use --dry-run")
            typer.confirm("Erase all this?", abort=True)
        with (
            keeping_track(context, plan.person.row),
            progress_bar("erasing", quiet=as_json) as progress,
        ):
            done = operations.run(erase_account, plan, progress)
        left = [*what_is_left(done.plan, configuration), *elsewhere]
    if as_json:
        print_json({**_done_facts(done), "left": left})
        return
    print(f"erased; the remaining records name the person {plan.person.pseudonym}")
    print("left:")
    for sentence in left:
        print(printable(f"  - {sentence}"))


def _in_other_shards(context: typer.Context) -> list[str]:
    """Say what an erasure leaves in the shards that it was not about."""
    whole = read_whole_configuration(context)
    if not whole.store.shards:
        return []
    here = chosen_shard(context, whole)
    others = [name for name in shard_names(whole) if name != here]
    return [
        f"journeys, sessions and what filters learned in the shards {', '.join(others)}: run this "
        "command again with the address, and --shard NAME before `account`"
    ]


def _print_plan(plan: ErasurePlan) -> None:
    person, usage = plan.person, plan.usage
    if person.row is not None:
        row = person.row
        created = spell_time(row.created_ms)
        print(printable(f"account {row.login} ({row.address.unicode}), created {created}"))
    else:
        names = ", ".join(one.unicode for one in person.addresses)
        print(printable(f"records of {names}, without an account"))
    if usage is not None:
        deleted = spell_count(usage.deleted_messages, "deleted message")
        size = spell_size(usage.size + usage.deleted_size)
        print(f"mail: {spell_count(usage.messages, 'message')} and {deleted}, {size}")
    mails = plan.mails
    print(
        f"journeys of mail from the person: {len(mails.sent)}, to the person: {len(mails.received)}"
    )
    print(f"sessions and other events: {len(plan.events)}")
    print(f"entries of the audit trail: {len(plan.changes)}")


def _plan_facts(plan: ErasurePlan) -> dict[str, Any]:
    person, usage = plan.person, plan.usage
    return {
        "account": None if person.row is None else person.row.login,
        "addresses": [one.unicode for one in person.addresses],
        "messages": 0 if usage is None else usage.messages + usage.deleted_messages,
        "bytes": 0 if usage is None else usage.size + usage.deleted_size,
        "journeys_sent": len(plan.mails.sent),
        "journeys_received": len(plan.mails.received),
        "waiting": len(plan.mails.waiting),
        "events": len(plan.events),
        "audit": len(plan.changes),
    }


def _done_facts(done: Erasure) -> dict[str, Any]:
    return {
        "pseudonym": done.plan.person.pseudonym,
        "journeys_removed": done.sent,
        "journeys_changed": done.received,
        "events_removed": done.events,
        "audit_removed": done.audit_removed,
        "audit_changed": done.audit_changed,
        "learned_removed": done.learned,
        "reports_removed": done.reports,
    }
