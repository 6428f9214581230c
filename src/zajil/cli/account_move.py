"""``zajil account move``: to another shard."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from zajil.cli.configured import read_whole_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, Who, print_json, printable, progress_bar, spell_count


def move(
    context: typer.Context,
    who: Who,
    to: Annotated[
        str | None, typer.Option("--to", metavar="SHARD", help="Name of the new shard.")
    ] = None,
    drop_rights: Annotated[
        bool,
        typer.Option(
            "--drop-rights",
            help="Also if rights are lost that do not work between shards: delegations, shared "
            "mailboxes, administered domains.",
        ),
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Give up a move that was interrupted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Move an account to another shard, with all its mail. The server may be running.

    The messages are copied while the account works. Then it is suspended for the time that the
    rest takes: new mail for it is deferred, its sessions end, and mail programs are told to try
    again later. They see the same UIDs afterwards. Run an interrupted command again, or undo it
    with --undo.

    Exit status: 0 done, 1 it cannot be moved, or a database cannot be used, 2 wrong usage.
    """
    from zajil.operations.shard_move import move_account, undo_move

    if undo == (to is not None):
        raise WrongUsage("give either --to SHARD or --undo")
    configuration = read_whole_configuration(context)
    if to is None:
        given_up = undo_move(configuration, who)
        if as_json:
            print_json({"login": given_up.login, "shard": given_up.from_shard})
        else:
            print(f"{given_up.login} stays in the shard {given_up.from_shard}, and works again")
        return
    stage = partial(progress_bar, quiet=as_json)
    done = move_account(configuration, who, to, stage, drops_rights=drop_rights)
    if as_json:
        print_json(
            {
                "address": done.address.unicode,
                "from": done.from_shard,
                "to": done.to_shard,
                "messages": done.messages,
                "copied": done.copied,
                "lost": list(done.lost),
            }
        )
        return
    print(
        f"moved {done.address.unicode} from {done.from_shard} to {done.to_shard}: "
        f"{spell_count(done.messages, 'message')}, {done.copied} copied by this command"
    )
    for sentence in done.lost:
        print(printable(f"not moved: {sentence}"))
    print("the server removes what is left in the old shard in about ten minutes")
