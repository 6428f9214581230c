"""``zajil queue``: mail that waits for delivery."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from zajil.cli.configured import open_operations, opened_store
from zajil.cli.errors import WrongUsage
from zajil.cli.output import (
    AsJson,
    duration_ms,
    print_json,
    print_table,
    spell_age,
    spell_size,
    spell_time,
)

if TYPE_CHECKING:
    from zajil.store.queue.queue_admin import QueueQuery

queue_app = typer.Typer(name="queue", help="Mail that waits for delivery.", no_args_is_help=True)

MailIds = Annotated[
    list[str] | None,
    typer.Argument(help="Mail ids, as printed by `zajil queue list`.", show_default=False),
]
Why = Annotated[str, typer.Option("--reason", help="Shown in the journey of each mail.")]
All = Annotated[bool, typer.Option("--all", help="Select the whole queue.")]
Sender = Annotated[
    str | None,
    typer.Option(help="Select mail of this sender: an address, a domain, or <> for bounces."),
]
Recipient = Annotated[
    str | None, typer.Option(help="Select recipients with this address or domain.")
]
NextHop = Annotated[
    str | None,
    typer.Option("--next-hop", "--domain", help="Select recipients that go to this domain."),
]
State = Annotated[
    str | None, typer.Option(metavar="waiting|held", help="Select recipients in this state.")
]
OlderThan = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Select mail accepted longer ago, e.g. 2h or 3d."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filter:
    """What was given by options; ``None`` selects everything."""

    sender: str | None
    recipient: str | None
    next_hop: str | None
    state: str | None
    older_than: str | None
    mail_id: str | None = None

    def __bool__(self) -> bool:
        given = (self.sender, self.recipient, self.next_hop, self.state, self.older_than)
        return any(one is not None for one in given)

    def query(self, now_ms: int, limit: int = 1000) -> QueueQuery:
        from zajil.core.service import QUEUED, RecipientState
        from zajil.operations.queue import make_query

        if self.state not in (None, *QUEUED):
            raise WrongUsage(f"--state: {self.state!r} is neither waiting nor held")
        age_ms = None if self.older_than is None else duration_ms(self.older_than, "--older-than")
        return make_query(
            sender=self.sender,
            recipient=self.recipient,
            next_hop=self.next_hop,
            state=None if self.state is None else RecipientState(self.state),
            before_ms=None if age_ms is None else now_ms - age_ms,
            mail_id=self.mail_id,
            limit=limit,
        )


@queue_app.command("list")
def show(
    context: typer.Context,
    mail_id: Annotated[str | None, typer.Option(help="Select this mail.")] = None,
    sender: Sender = None,
    recipient: Recipient = None,
    next_hop: NextHop = None,
    state: State = None,
    older_than: OlderThan = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List the queue, one row per recipient, the next due first.

    Exit status: 0 done, also if the queue is empty, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.queue import show_queue

    chosen = _Filter(
        sender=sender,
        recipient=recipient,
        next_hop=next_hop,
        state=state,
        older_than=older_than,
        mail_id=mail_id,
    )
    now_ms = SystemClock().now_ms()
    query = chosen.query(now_ms, limit)
    with opened_store(context) as store:
        queue = store.read_now(lambda conn: show_queue(conn, query, now_ms))
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
        print(f"There are more than {limit} rows; raise --limit to see them.", file=sys.stderr)


_HOLD = """Hold mail: do not deliver it until `zajil queue release`.

    Select mail by id, by options, or both: what is given must match.

    Exit status: 0 done, 1 an id is not in the queue (the others were held), 2 wrong usage.
    """
_RELEASE = """Release held mail: deliver it now, or at its requested release time.

    Select mail by id, by options, or both: what is given must match.

    Exit status: 0 done, 1 an id is not held (the others were released), 2 wrong usage.
    """
_RETRY = """Retry deferred mail now, ignoring the schedule and any requested release time.

    Select mail by id, by options, or both: what is given must match.

    Exit status: 0 done, 1 an id is not waiting (the others are retried), 2 wrong usage.
    """
_EXPIRE = """Give up mail: return it to its senders with a delivery status notification.

    Select mail by id, by options, or both: what is given must match.

    Exit status: 0 done, 1 an id is not in the queue (the others were given up), 2 wrong usage.
    """


def _add_command(action: str, text: str) -> None:
    """Add a command that changes the selected mail."""

    def command(
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
        chosen = _Filter(
            sender=sender,
            recipient=recipient,
            next_hop=next_hop,
            state=state,
            older_than=older_than,
        )
        _act(context, _Order(action, mail_ids or [], every, reason, as_json), chosen)

    queue_app.command(action, help=text)(command)


for _action, _text in (
    ("hold", _HOLD),
    ("release", _RELEASE),
    ("retry", _RETRY),
    ("expire", _EXPIRE),
):
    _add_command(_action, _text)


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
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete mail from the queue without notifying its senders. This cannot be undone.

    Select mail by id, by options, or both: what is given must match. `zajil queue expire` returns
    mail to its senders instead.

    Exit status: 0 done, 1 an id is not in the queue (the others were deleted), 2 wrong usage.
    """
    chosen = _Filter(
        sender=sender, recipient=recipient, next_hop=next_hop, state=state, older_than=older_than
    )
    order = _Order("delete", mail_ids or [], every, reason, as_json, asks=not yes)
    _act(context, order, chosen)


_DONE = {
    "hold": "held",
    "release": "released",
    "retry": "retrying",
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


def _act(context: typer.Context, order: _Order, chosen: _Filter) -> None:
    from zajil.net.system import SystemClock
    from zajil.operations.queue import QueueAction, act_on_queue, find_mails

    query, action = chosen.query(SystemClock().now_ms()), QueueAction(order.action)
    if not (order.mail_ids or order.every or chosen):
        raise WrongUsage("select mail by id, or by --all, --sender, --next-hop and so on")
    if order.every and (order.mail_ids or chosen):
        raise WrongUsage("--all cannot be combined with mail ids or other options that select")
    with open_operations(context) as operations:
        selected: list[str] = list(order.mail_ids)
        if not order.mail_ids or chosen:
            found = operations.read(lambda conn: find_mails(conn, action, query))
            named = set(order.mail_ids)
            selected = [one for one in found if not named or one in named]
        if order.asks and selected:
            _confirm(len(selected))
        done = operations.run(
            act_on_queue,
            action,
            selected,
            reason=order.reason,
            only=query,
            progress=_print_progress,
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
            print(f"cannot {order.action} {name}; see `zajil queue list`", file=sys.stderr)
    raise typer.Exit(1 if unknown else 0)


def _confirm(count: int) -> None:
    what = "1 mail" if count == 1 else f"{count} mails"
    if not sys.stdin.isatty():
        raise WrongUsage(f"this deletes {what} without notice to the senders; confirm with --yes")
    typer.confirm(f"Delete {what} without notice to the senders?", abort=True, err=True)


def _print_progress(done: int, total: int) -> None:
    from zajil.operations.queue import PORTION

    if total > PORTION:
        print(f"{done} of {total} mails", file=sys.stderr)
