"""``zajil message``: the bytes of a mail, and deleted messages of an account."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import open_operations, opened_store
from zajil.cli.errors import WrongUsage
from zajil.cli.output import (
    AsJson,
    Since,
    Who,
    parse_since,
    print_json,
    print_table,
    printable,
    spell_size,
    spell_time,
)

if TYPE_CHECKING:
    from zajil.operations.undelete import DeletedChoice
    from zajil.store.mail.deleted import DeletedMessage

message_app = typer.Typer(
    name="message", help="The bytes of a message, and deleted messages.", no_args_is_help=True
)


@message_app.command("export")
def export(
    context: typer.Context,
    mail_id: Annotated[
        str, typer.Argument(metavar="MAIL_ID", help="As printed by `zajil journey find`.")
    ],
) -> None:
    """Write a mail to standard output, if the queue or a mailbox still has a copy of it.

    Exit status: 0 done, 1 unknown id, or no copy is left, 2 wrong usage.
    """
    from zajil.core.ids import MailId
    from zajil.operations.journey import read_message

    with opened_store(context) as store:
        message = store.read_now(lambda conn: read_message(store, conn, MailId(mail_id)))
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()


InMailbox = Annotated[
    str | None, typer.Option("--mailbox", metavar="NAME", help="Only from this mailbox.")
]
WithUid = Annotated[
    list[int] | None,
    typer.Option("--uid", help="Only with this UID; repeatable.", show_default=False),
]
WithSubject = Annotated[
    str | None,
    typer.Option("--subject", metavar="TEXT", help="Only with this text in the subject."),
]
OnlyList = Annotated[bool, typer.Option("--list", help="Only list them.")]
EveryOne = Annotated[bool, typer.Option("--all", help="All deleted messages of the account.")]


@message_app.command("undelete")
def undelete(
    context: typer.Context,
    who: Who,
    since: Since = None,
    mailbox: InMailbox = None,
    uid: WithUid = None,
    subject: WithSubject = None,
    every_one: EveryOne = False,
    only_list: OnlyList = False,
    as_json: AsJson = False,
) -> None:
    """Restore deleted messages of an account into their mailboxes.

    Messages are kept for mail.undelete_days after they were deleted. A mailbox that was deleted is
    created again. Restored messages get new UIDs.

    Exit status: 0 done, 1 no such account or messages, or its quota is reached, 2 wrong usage.
    """
    wanted = _wanted(since, mailbox, uid, subject)
    if only_list:
        _list(context, who, wanted, as_json)
        return
    _require_choice(wanted, every_one)
    from zajil.operations.undelete import undelete as take_back

    with open_operations(context) as operations:
        found = operations.run(take_back, who, wanted)
    if as_json:
        print_json({"restored": [{"mailbox": one.mailbox, "uid": one.uid} for one in found]})
        return
    print(f"restored messages: {len(found)}")


@message_app.command("purge")
def purge(
    context: typer.Context,
    who: Who,
    since: Since = None,
    mailbox: InMailbox = None,
    uid: WithUid = None,
    subject: WithSubject = None,
    every_one: EveryOne = False,
    as_json: AsJson = False,
) -> None:
    """Remove deleted messages of an account for good, before mail.undelete_days are over.

    `zajil message undelete --list` shows them.

    Exit status: 0 done, 1 no such account or no such messages, 2 wrong usage.
    """
    wanted = _wanted(since, mailbox, uid, subject)
    _require_choice(wanted, every_one)
    from zajil.operations.undelete import purge as remove

    with open_operations(context) as operations:
        count = operations.run(remove, who, wanted)
    if as_json:
        print_json({"removed": count})
        return
    print(f"removed messages: {count}")


def _wanted(
    since: str | None, mailbox: str | None, uids: list[int] | None, subject: str | None
) -> DeletedChoice:
    from zajil.operations.undelete import DeletedChoice

    return DeletedChoice(
        since_ms=parse_since(since),
        mailbox=mailbox,
        uids=frozenset(uids) if uids else None,
        subject=subject,
    )


def _require_choice(wanted: DeletedChoice, every_one: bool) -> None:
    from zajil.operations.undelete import DeletedChoice

    if (wanted == DeletedChoice()) is not every_one:
        raise WrongUsage("give --all, or some of --since, --mailbox, --uid and --subject")


def _list(context: typer.Context, who: str, wanted: DeletedChoice, as_json: bool) -> None:
    from zajil.operations.undelete import list_deleted

    with opened_store(context) as store:
        found = store.read_now(lambda conn: list_deleted(conn, who, wanted))
    if as_json:
        print_json({"deleted": [_to_dict(one) for one in found]})
        return
    print_table(
        ["DELETED", "MAILBOX", "UID", "SIZE", "SUBJECT"],
        [
            [
                spell_time(one.deleted_ms),
                printable(one.mailbox),
                str(one.uid),
                spell_size(one.size),
                printable(one.subject),
            ]
            for one in found
        ],
    )


def _to_dict(one: DeletedMessage) -> dict[str, Any]:
    return {
        "deleted_ms": one.deleted_ms,
        "mailbox": one.mailbox,
        "uid": one.uid,
        "received_at_ms": one.received_at_ms,
        "size": one.size,
        "subject": one.subject,
    }
