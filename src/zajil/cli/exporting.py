"""``zajil export``: the mail of an account for another program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from zajil.cli.configured import open_operations, opened_store
from zajil.cli.errors import WrongUsage
from zajil.cli.imap_account import (
    CaFile,
    Host,
    Pin,
    ServerPassword,
    Tls,
    TokenFile,
    User,
    read_imap_account,
)
from zajil.cli.moving_in import (
    Exclude,
    Only,
    OnlyCount,
    SinceTime,
    caller,
    make_choice,
    print_report,
)
from zajil.cli.output import AsJson, Who, progress_bar

if TYPE_CHECKING:
    from zajil.operations.moving.model import MailTarget
    from zajil.operations.moving.move_in import MovingChoice

export_app = typer.Typer(
    name="export", help="The mail of an account for another program.", no_args_is_help=True
)
Folder = Annotated[Path, typer.Argument(help="Folder to write to; it is created.")]


@export_app.command("maildir")
def maildir(
    context: typer.Context,
    who: Who,
    folder: Folder,
    layout: Annotated[
        str,
        typer.Option(
            help="maildir++ (folders like .Work.Offers) or fs (folders like Work/Offers)."
        ),
    ] = "maildir++",
    only: Only = None,
    exclude: Exclude = None,
    since: SinceTime = None,
    dry_run: OnlyCount = False,
    as_json: AsJson = False,
) -> None:
    """Copy the mail of an account to a Maildir, as Dovecot and Courier read it.

    A second run adds what is new and changes flags; it removes nothing. Flags, keywords
    (dovecot-keywords), dates and subscriptions are written. The server may be running.

    Exit status: 0 done, 1 something was left out (it is listed), 2 wrong usage.
    """
    from zajil.operations.moving.maildir_target import Layout, MaildirTarget

    known = {one.value: one for one in Layout}
    if layout not in known:
        raise WrongUsage(f"--layout {layout}: use {' or '.join(known)}")
    choice = make_choice(only, exclude, since, dry_run)
    _export_to(context, who, MaildirTarget(folder, caller(), known[layout]), choice, as_json)


@export_app.command("mbox")
def mbox(
    context: typer.Context,
    who: Who,
    folder: Folder,
    only: Only = None,
    exclude: Exclude = None,
    since: SinceTime = None,
    dry_run: OnlyCount = False,
    as_json: AsJson = False,
) -> None:
    """Copy the mail of an account to mbox files, one for each mailbox.

    A second run writes the files again. Flags and keywords are in the fields Status, X-Status and
    X-Keywords. The server may be running.

    Exit status: 0 done, 1 something was left out (it is listed), 2 wrong usage.
    """
    from zajil.operations.moving.mbox_target import MboxTarget

    choice = make_choice(only, exclude, since, dry_run)
    _export_to(context, who, MboxTarget(folder, caller()), choice, as_json)


@export_app.command("imap")
def imap(
    context: typer.Context,
    who: Who,
    host: Host,
    user: User,
    password_file: ServerPassword = None,
    token_file: TokenFile = None,
    tls: Tls = "implicit",
    ca_file: CaFile = None,
    pin: Pin = "",
    only: Only = None,
    exclude: Exclude = None,
    since: SinceTime = None,
    dry_run: OnlyCount = False,
    as_json: AsJson = False,
) -> None:
    """Copy the mail of an account to an account at another IMAP server.

    Mailboxes are created there; sent mail, drafts, junk, trash and archive go to the mailboxes that
    the server has for them. A second run adds only what is missing, and removes nothing. The
    password is asked for, or is in a file, or in the environment variable ZAJIL_IMAP_PASSWORD.

    Exit status: 0 done, 1 something was left out (it is listed), 2 wrong usage.
    """
    from zajil.operations.moving.imap_target import ImapTarget

    choice = make_choice(only, exclude, since, dry_run)
    account = read_imap_account(host, user, password_file, token_file, tls, ca_file, pin)
    _export_to(context, who, ImapTarget(account), choice, as_json)


@export_app.command("contacts")
def contacts(
    context: typer.Context,
    who: Who,
    file: Annotated[Path, typer.Argument(help="File to write; - writes to standard output.")],
    version: Annotated[str, typer.Option(help="Version of vCard: 3.0 or 4.0.")] = "3.0",
) -> None:
    """Write the contacts of an account to a vCard file.

    Exit status: 0 done, 1 no such account, or the file exists or cannot be written, 2 wrong usage.
    """
    from zajil.operations.moving.cards import export_contacts

    if version not in ("3.0", "4.0"):
        raise WrongUsage(f"--version {version}: use 3.0 or 4.0")
    out = sys.stdout if str(file) == "-" else _new_file(file)
    with opened_store(context) as store:
        count = store.read_now(
            lambda conn: sum(bool(out.write(c)) for c in export_contacts(conn, who, version))
        )
    if out is not sys.stdout:
        out.close()
        print(f"contacts exported: {count}")


def _new_file(file: Path) -> TextIO:
    from zajil.operations.moving.model import NoTarget

    try:
        return file.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise NoTarget(f"cannot write {file}: {error.strerror}") from None


def _export_to(
    context: typer.Context, who: str, target: MailTarget, choice: MovingChoice, as_json: bool
) -> None:
    from zajil.operations.moving.move_out import export_mail

    try:
        with (
            open_operations(context) as operations,
            progress_bar("exporting", quiet=as_json) as progress,
        ):
            report = operations.run(export_mail, who, target, choice, progress)
    finally:
        target.close()
    verb = "to be exported" if choice.dry_run else "exported"
    print_report(report, (verb, "there already"), choice.dry_run, as_json)
