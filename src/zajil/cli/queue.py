"""``zajil queue``: what waits for delivery, and what an operator does about it."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from zajil.cli.configured import opened_store
from zajil.cli.output import AsJson, print_json, print_table, spell_time

queue_app = typer.Typer(name="queue", help="What waits for delivery.", no_args_is_help=True)

MailIds = Annotated[list[str], typer.Argument(help="Mail ids, as `zajil queue list` prints them.")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the journey of each mail.")]


@queue_app.command("list")
def show(
    context: typer.Context,
    mail_id: Annotated[str | None, typer.Option(help="Only this mail.")] = None,
    next_hop: Annotated[str | None, typer.Option(help="Only mail for this domain.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List the recipients that wait, the soonest due first."""
    from zajil.admin.queue import show_queue
    from zajil.core.domain import to_ascii
    from zajil.core.ids import MailId
    from zajil.store.queue_admin import QueueQuery

    query = QueueQuery(
        MailId(mail_id) if mail_id else None, to_ascii(next_hop) if next_hop else None, limit
    )
    with opened_store(context) as store:
        queue = show_queue(store, query)
    if as_json:
        print_json(queue)
        return
    print_table(
        ["MAIL", "RECIPIENT", "STATE", "TRIES", "NEXT TRY", "REASON"],
        [
            [
                row["mail_id"],
                row["recipient"],
                row["state"],
                str(row["tries"]),
                spell_time(row["next_try_ms"]),
                row["reason"],
            ]
            for row in queue["rows"]
        ],
    )


@queue_app.command("hold")
def hold(
    context: typer.Context, mail_ids: MailIds, reason: Why = "", as_json: AsJson = False
) -> None:
    """Stop delivery of mails until `zajil queue release`.

    Exit status: 0 all held, 1 some id is not in the queue (the others are held), 2 wrong usage.
    """
    _act(context, "hold", mail_ids, reason, as_json)


@queue_app.command("release")
def release(
    context: typer.Context, mail_ids: MailIds, reason: Why = "", as_json: AsJson = False
) -> None:
    """Deliver held mails now; what its writer wants delivered later, then.

    Exit status: 0 all released, 1 some id is not held (the others are released), 2 wrong usage.
    """
    _act(context, "release", mail_ids, reason, as_json)


@queue_app.command("retry")
def retry(
    context: typer.Context, mail_ids: MailIds, reason: Why = "", as_json: AsJson = False
) -> None:
    """Try waiting mails now, whenever their next try is due, or their writer wants it.

    Exit status: 0 all are tried, 1 some id is not waiting (the others are tried), 2 wrong usage.
    """
    _act(context, "retry", mail_ids, reason, as_json)


@queue_app.command("expire")
def expire(
    context: typer.Context, mail_ids: MailIds, reason: Why = "", as_json: AsJson = False
) -> None:
    """Give mails up: their senders get a delivery status notification.

    Exit status: 0 all given up, 1 some id is not in the queue (the others are), 2 wrong usage.
    """
    _act(context, "expire", mail_ids, reason, as_json)


_DONE = {"hold": "held", "release": "released", "retry": "trying", "expire": "gave up"}


def _act(
    context: typer.Context, action: str, mail_ids: list[str], reason: str, as_json: bool
) -> None:
    from zajil.admin.queue import QueueAction, act_on_queue
    from zajil.net.system import SystemClock

    with opened_store(context) as store:
        done = act_on_queue(
            store,
            QueueAction(action),
            mail_ids,
            who=operator_name(),
            reason=reason,
            now_ms=SystemClock().now_ms(),
        )
    unknown = sorted(set(mail_ids) - set(done))
    if as_json:
        print_json({"done": done, "unknown": unknown})
    else:
        for mail_id in done:
            print(f"{_DONE[action]} {mail_id}")
        for name in unknown:
            print(f"nothing to {action} of {name}; see `zajil queue list`", file=sys.stderr)
    raise typer.Exit(1 if unknown else 0)


def operator_name() -> str:
    """Who runs the command, for the journey."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
