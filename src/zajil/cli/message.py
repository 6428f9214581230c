"""``zajil message``: what was written, as we keep it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zajil.cli.configured import opened_store

message_app = typer.Typer(name="message", help="The bytes of a message.", no_args_is_help=True)


@message_app.command("export")
def export(
    context: typer.Context,
    mail_id: Annotated[str, typer.Argument(help="As `zajil journey find` prints it.")],
) -> None:
    """Write the bytes of a mail to stdout, as long as the queue or a mailbox holds a copy.

    Exit status: 0 done, 1 the id is unknown or no copy is left, 2 wrong usage.
    """
    from zajil.core.ids import MailId
    from zajil.operations.message import export_message

    with opened_store(context) as store:
        message = export_message(store, MailId(mail_id))
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()
