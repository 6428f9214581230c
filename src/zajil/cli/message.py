"""``zajil message``: the bytes of a mail."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zajil.cli.configured import opened_store

message_app = typer.Typer(name="message", help="The bytes of a message.", no_args_is_help=True)


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
