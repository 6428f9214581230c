"""``zajil mailbox``: the mailboxes of an account, and who may use them."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.configured import open_operations, opened_store
from zajil.cli.output import AsJson, Who, print_json, print_table, printable

mailbox_app = typer.Typer(
    name="mailbox", help="Mailboxes: list them, share them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name of the mailbox, for example INBOX or Work/Offers.")]
With = Annotated[
    str, typer.Option("--with", help="Login name or address of the other account, or anyone.")
]


@mailbox_app.command("list")
def show(context: typer.Context, who: Who, as_json: AsJson = False) -> None:
    """List the mailboxes of an account, with the accounts that may use them.

    Exit status: 0 done, 1 no such account, 2 wrong usage.
    """
    from zajil.core.mailbox_rights import format_rights
    from zajil.operations.mailboxes import show_mailboxes

    with opened_store(context) as store:
        found = store.read_now(lambda conn: show_mailboxes(conn, who))
    if as_json:
        print_json(
            {
                "mailboxes": [
                    {
                        "name": one.box.name,
                        "role": one.box.role,
                        "messages": one.counts.messages,
                        "unseen": one.counts.unseen,
                        "bytes": one.counts.size,
                        "shared_with": {
                            entry.identifier: format_rights(entry.rights)
                            for entry in one.shared_with
                        },
                    }
                    for one in found
                ]
            }
        )
        return
    rows = []
    for one in found:
        shared = [
            f"{entry.identifier} ({format_rights(entry.rights)})" for entry in one.shared_with
        ]
        numbers = (one.counts.messages, one.counts.unseen, one.counts.size)
        rows.append([printable(one.box.name), *map(str, numbers), ", ".join(shared) or "-"])
    print_table(["MAILBOX", "MESSAGES", "UNSEEN", "BYTES", "SHARED WITH"], rows)


@mailbox_app.command("share")
def share(
    context: typer.Context,
    who: Who,
    mailbox: Name,
    to: With,
    rights: Annotated[
        str,
        typer.Option(help="read, write, manage, or letters of RFC 4314, for example lrs."),
    ] = "read",
) -> None:
    """Allow an account to use a mailbox of another one.

    It finds the mailbox under the name Shared/LOGIN/MAILBOX, where LOGIN is the login name of the
    owner. "read" lets it see and read the mailbox (lr), "write" also change flags, add and delete
    messages (lrswite), "manage" everything, including sharing it with others. Rights that it had
    before are replaced. All who use a mailbox share its flags, also which messages are read.

    Exit status: 0 done, 1 no such account or mailbox, 2 wrong usage.
    """
    from zajil.core.mailbox_rights import LEVELS, format_rights, parse_rights
    from zajil.operations.mailboxes import share_mailbox
    from zajil.store.mail.right_changes import Grant

    chosen = parse_rights(LEVELS.get(rights, rights))
    with open_operations(context) as operations:
        operations.run(share_mailbox, who, mailbox, Grant(to, chosen))
    print(f"{printable(to)} has the rights {format_rights(chosen)} on {printable(mailbox)}")


@mailbox_app.command("unshare")
def unshare(context: typer.Context, who: Who, mailbox: Name, to: With) -> None:
    """Take all rights on a mailbox from an account. Its open sessions lose the mailbox.

    Exit status: 0 done, 1 no such account or mailbox, 2 wrong usage.
    """
    from zajil.operations.mailboxes import share_mailbox
    from zajil.store.mail.right_changes import Grant

    with open_operations(context) as operations:
        operations.run(share_mailbox, who, mailbox, Grant(to, frozenset()))
    print(f"{printable(to)} has no rights on {printable(mailbox)}")
