"""``zajil queue``: what waits for delivery, and what an operator does about it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from zajil.cli.configured import opened_store
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, print_table, spell_age, spell_size, spell_time

if TYPE_CHECKING:
    from zajil.store.queue.queue_admin import QueueQuery

queue_app = typer.Typer(name="queue", help="Mails that wait for delivery.", no_args_is_help=True)

MailIds = Annotated[
    list[str] | None,
    typer.Argument(help="Mail ids, as `zajil queue list` prints them.", show_default=False),
]
Why = Annotated[str, typer.Option("--reason", help="Kept in the journey of each mail.")]
All = Annotated[bool, typer.Option("--all", help="The whole queue.")]
Sender = Annotated[
    str | None,
    typer.Option(help="Only mail of this sender: an address, a domain, or <> for bounces."),
]
Recipient = Annotated[
    str | None, typer.Option(help="Only copies for this recipient: an address or a domain.")
]
NextHop = Annotated[
    str | None,
    typer.Option("--next-hop", "--domain", help="Only copies that go to this domain."),
]
State = Annotated[
    str | None, typer.Option(metavar="waiting|held", help="Only copies in this state.")
]
OlderThan = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Only mail accepted before: 2h, 3d.")
]


@queue_app.command("list")
def show(
    context: typer.Context,
    mail_id: Annotated[str | None, typer.Option(help="Only this mail.")] = None,
    sender: Sender = None,
    recipient: Recipient = None,
    next_hop: NextHop = None,
    state: State = None,
    older_than: OlderThan = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List the recipients that wait, the soonest due first.

    Exit status: 0 done, also when none waits, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.queue import show_queue

    now_ms = SystemClock().now_ms()
    query = _query(now_ms, mail_id, sender, recipient, next_hop, state, older_than, limit)
    with opened_store(context) as store:
        queue = show_queue(store, query, now_ms)
    if as_json:
        print_json(queue)
        return
    print_table(
        ["MAIL", "AGE", "SIZE", "SENDER", "RECIPIENT", "STATE", "TRIES", "NEXT TRY", "REASON"],
        [
            [
                row["mail_id"],
                spell_age(row["age_ms"]),
                spell_size(row["size"]),
                "<>" if row["sender"] is None else row["sender"],
                row["recipient"],
                row["state"],
                str(row["tries"]),
                spell_time(row["next_try_ms"]),
                row["reason"],
            ]
            for row in queue["rows"]
        ],
    )
    if queue["more"]:
        print(f"There are more; --limit allows more than {limit}.", file=sys.stderr)


@queue_app.command("hold")
def hold(
    context: typer.Context,
    mail_ids: MailIds = None,
    every: All = False,
    sender: Sender = None,
    recipient: Recipient = None,
    next_hop: NextHop = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Stop delivery of mails until `zajil queue release`.

    Name mails, or say which by options; all that is said must match.

    Exit status: 0 all held, 1 some id is not in the queue (the others are held), 2 wrong usage.
    """
    order = _Order("hold", mail_ids or [], every, reason, as_json)
    _act(context, order, sender, recipient, next_hop, state, older_than)


@queue_app.command("release")
def release(
    context: typer.Context,
    mail_ids: MailIds = None,
    every: All = False,
    sender: Sender = None,
    recipient: Recipient = None,
    next_hop: NextHop = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Deliver held mails now; what its writer wants delivered later, then.

    Name mails, or say which by options; all that is said must match.

    Exit status: 0 all released, 1 some id is not held (the others are released), 2 wrong usage.
    """
    order = _Order("release", mail_ids or [], every, reason, as_json)
    _act(context, order, sender, recipient, next_hop, state, older_than)


@queue_app.command("retry")
def retry(
    context: typer.Context,
    mail_ids: MailIds = None,
    every: All = False,
    sender: Sender = None,
    recipient: Recipient = None,
    next_hop: NextHop = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Try waiting mails now, whenever their next try is due, or their writer wants it.

    Name mails, or say which by options; all that is said must match.

    Exit status: 0 all are tried, 1 some id is not waiting (the others are tried), 2 wrong usage.
    """
    order = _Order("retry", mail_ids or [], every, reason, as_json)
    _act(context, order, sender, recipient, next_hop, state, older_than)


@queue_app.command("expire")
def expire(
    context: typer.Context,
    mail_ids: MailIds = None,
    every: All = False,
    sender: Sender = None,
    recipient: Recipient = None,
    next_hop: NextHop = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Give mails up: their senders get a delivery status notification.

    Name mails, or say which by options; all that is said must match.

    Exit status: 0 all given up, 1 some id is not in the queue (the others are), 2 wrong usage.
    """
    order = _Order("expire", mail_ids or [], every, reason, as_json)
    _act(context, order, sender, recipient, next_hop, state, older_than)


@queue_app.command("delete")
def delete(
    context: typer.Context,
    mail_ids: MailIds = None,
    every: All = False,
    sender: Sender = None,
    recipient: Recipient = None,
    next_hop: NextHop = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove mails from the queue; their senders are not told.

    Name mails, or say which by options; all that is said must match. `zajil queue expire` tells
    the senders.

    Exit status: 0 all removed, 1 some id is not in the queue (the others are), 2 wrong usage.
    """
    order = _Order("delete", mail_ids or [], every, reason, as_json, asks=not yes)
    _act(context, order, sender, recipient, next_hop, state, older_than)


_DONE = {
    "hold": "held",
    "release": "released",
    "retry": "trying",
    "expire": "gave up",
    "delete": "deleted",
}


@dataclass(frozen=True, slots=True)
class _Order:
    action: str
    mail_ids: list[str]
    every: bool
    reason: str
    as_json: bool
    asks: bool = False


def _act(
    context: typer.Context,
    order: _Order,
    sender: str | None,
    recipient: str | None,
    next_hop: str | None,
    state: str | None,
    older_than: str | None,
) -> None:
    from zajil.net.system import SystemClock
    from zajil.operations.queue import QueueAction, act_on_queue, find_mails

    now_ms, action = SystemClock().now_ms(), QueueAction(order.action)
    query = _query(now_ms, None, sender, recipient, next_hop, state, older_than)
    filtered = any(one is not None for one in (sender, recipient, next_hop, state, older_than))
    if not (order.mail_ids or order.every or filtered):
        raise WrongUsage("name mails, or say which by --all, --sender, --next-hop and the like")
    if order.every and (order.mail_ids or filtered):
        raise WrongUsage("--all goes with no mail id and no other choice")
    with opened_store(context) as store:
        chosen: list[str] = list(order.mail_ids)
        if not order.mail_ids or filtered:
            found = find_mails(store, action, query)
            named = set(order.mail_ids)
            chosen = [one for one in found if not named or one in named]
        if order.asks and chosen:
            _confirm(len(chosen))
        done = act_on_queue(
            store,
            action,
            chosen,
            who=operator_name(),
            reason=order.reason,
            now_ms=now_ms,
            only=query,
            tell=_tell_progress,
        )
    _report(order, done)


def _report(order: _Order, done: Sequence[str]) -> NoReturn:
    verb, unknown = _DONE[order.action], sorted(set(order.mail_ids) - set(done))
    if order.as_json:
        print_json({"done": list(done), "unknown": unknown})
    elif not order.mail_ids:
        print(f"{verb} {len(done)} {'mail' if len(done) == 1 else 'mails'}")
    else:
        for mail_id in done:
            print(f"{verb} {mail_id}")
        for name in unknown:
            print(f"nothing to {order.action} of {name}; see `zajil queue list`", file=sys.stderr)
    raise typer.Exit(1 if unknown else 0)


def _query(
    now_ms: int,
    mail_id: str | None,
    sender: str | None,
    recipient: str | None,
    next_hop: str | None,
    state: str | None,
    older_than: str | None,
    limit: int = 1000,
) -> QueueQuery:
    from zajil.core.service import QUEUED, RecipientState
    from zajil.core.units import parse_duration
    from zajil.operations.queue import make_query

    if state not in (None, *QUEUED):
        raise WrongUsage(f"--state: {state!r} is neither waiting nor held")
    try:
        before_ms = None if older_than is None else now_ms - parse_duration(older_than)
    except ValueError as error:
        raise WrongUsage(f"--older-than: {error}") from None
    return make_query(
        sender=sender,
        recipient=recipient,
        next_hop=next_hop,
        state=None if state is None else RecipientState(state),
        before_ms=before_ms,
        mail_id=mail_id,
        limit=limit,
    )


def _confirm(count: int) -> None:
    what = "1 mail" if count == 1 else f"{count} mails"
    if not sys.stdin.isatty():
        raise WrongUsage(f"{what} would be gone, and no sender would be told; say --yes")
    typer.confirm(f"Delete {what} from the queue, and tell no sender?", abort=True, err=True)


def _tell_progress(done: int, of: int) -> None:
    from zajil.operations.queue import PORTION

    if of > PORTION:
        print(f"{done} of {of} mails", file=sys.stderr)


def operator_name() -> str:
    """Who runs the command, for the journey."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
