"""``zajil import``: mail and contacts of another program or server into an account."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import open_operations
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
from zajil.cli.output import (
    AsJson,
    Who,
    parse_since,
    print_json,
    printable,
    progress_bar,
    spell_count,
    spell_size,
)
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.operations.moving.model import MailSource, Report
    from zajil.operations.moving.move_in import MovingChoice

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--mailbox",
        metavar="NAME",
        help="Only this mailbox and those below it; * stands for anything. Repeatable.",
        show_default=False,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="NAME",
        help="Not this mailbox and those below it; * stands for anything. Repeatable.",
        show_default=False,
    ),
]
SinceTime = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only messages received since then: 30d ago, or a time like 2026-01-31T00:00 (UTC).",
    ),
]
OnlyCount = Annotated[bool, typer.Option("--dry-run", help="Count the messages, change nothing.")]
Prefix = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Put all mailboxes below this one, for example Old or Old/Work."
    ),
]
IgnoreQuota = Annotated[
    bool, typer.Option("--ignore-quota", help="Import more than the quota of the account allows.")
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Also messages that were imported before and are no longer in the account."
    ),
]
Dates = Annotated[
    bool,
    typer.Option(
        "--dates-from-header",
        help="Take the date of a message from its header, not from its file or separator line.",
    ),
]


def maildir(
    context: typer.Context,
    who: Who,
    folder: Annotated[Path, typer.Argument(help="The folder that contains cur and new.")],
    only: Only = None,
    exclude: Exclude = None,
    since: SinceTime = None,
    prefix: Prefix = "",
    dates: Dates = False,
    ignore_quota: IgnoreQuota = False,
    again: Again = False,
    dry_run: OnlyCount = False,
    as_json: AsJson = False,
) -> None:
    """Import a Maildir into an account: mailboxes, messages, flags, keywords, dates.

    It reads the forms of Dovecot (Maildir++ and LAYOUT=fs), Courier, KMail, Thunderbird,
    OfflineIMAP and mbsync. The folder is not changed. The command can be run again at any time: it
    imports only what is new. The server may be running. No symbolic link is followed.

    Exit status: 0 done, 1 something was left out (it is listed), 2 wrong usage.
    """
    from zajil.operations.moving.maildir import MaildirSource

    choice = make_choice(
        only, exclude, since, dry_run, prefix=prefix, ignore_quota=ignore_quota, again=again
    )
    import_from(context, who, MaildirSource(folder, caller(), by_header=dates), choice, as_json)


def mbox(
    context: typer.Context,
    who: Who,
    path: Annotated[Path, typer.Argument(help="An mbox file, or a folder with such files.")],
    into: Annotated[
        str, typer.Option(metavar="NAME", help="Mailbox for the messages of a single file.")
    ] = "",
    only: Only = None,
    exclude: Exclude = None,
    since: SinceTime = None,
    prefix: Prefix = "",
    dates: Dates = False,
    ignore_quota: IgnoreQuota = False,
    again: Again = False,
    dry_run: OnlyCount = False,
    as_json: AsJson = False,
) -> None:
    """Import mbox files into an account: mailboxes, messages, flags, keywords, dates.

    It reads the files of Dovecot, Thunderbird (with its folders), Apple Mail, KMail, mutt, and
    Gmail Takeout, whose labels become mailboxes and labels. Files are not changed. The command can
    be run again at any time: it imports only what is new. The server may be running.

    Exit status: 0 done, 1 something was left out (it is listed), 2 wrong usage.
    """
    from zajil.operations.moving.mbox import MboxSource

    choice = make_choice(
        only, exclude, since, dry_run, prefix=prefix, ignore_quota=ignore_quota, again=again
    )
    source = MboxSource(path, caller(), by_header=dates, into=levels_of(into))
    import_from(context, who, source, choice, as_json)


def pst(
    context: typer.Context,
    who: Who,
    file: Annotated[Path, typer.Argument(help="The PST file.")],
    work_folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder with as much free space as the file has. Default: that of TMPDIR."
        ),
    ] = None,
    only: Only = None,
    exclude: Exclude = None,
    since: SinceTime = None,
    prefix: Prefix = "",
    dates: Dates = False,
    ignore_quota: IgnoreQuota = False,
    again: Again = False,
    dry_run: OnlyCount = False,
    as_json: AsJson = False,
) -> None:
    """Import a PST file of Outlook into an account: folders, messages, contacts.

    The program readpst reads it (Debian: apt-get install pst-utils). Whether a message was read and
    when it was received are kept; appointments and tasks are left out. The command can be run again
    at any time: it imports only what is new. The server may be running.

    Exit status: 0 done, 1 something was left out (it is listed), 2 wrong usage.
    """
    from zajil.operations.moving.cards import import_contacts
    from zajil.operations.moving.pst import PstSource

    choice = make_choice(
        only, exclude, since, dry_run, prefix=prefix, ignore_quota=ignore_quota, again=again
    )
    source = PstSource(file, caller(), by_header=dates, work=work_folder)
    try:
        import_from(context, who, source, choice, as_json)
    finally:
        if source.contacts and not dry_run:
            with open_operations(context) as operations:
                done = operations.run(import_contacts, who, source.contacts)
            if not as_json:
                print(f"contacts imported: {done.saved}; left out: {done.left_out}")


def contacts(
    context: typer.Context,
    who: Who,
    file: Annotated[Path, typer.Argument(help="A vCard file; - reads standard input.")],
    as_json: AsJson = False,
) -> None:
    """Import contacts from a vCard file, as address books and CardDAV servers export them.

    A contact that was imported before is replaced. A card without a name and an address is left
    out.

    Exit status: 0 done, 1 some cards were left out, 2 wrong usage.
    """
    from zajil.cli.account_lists import read_list
    from zajil.operations.moving.cards import import_contacts

    text = read_list(file)
    with open_operations(context) as operations:
        done = operations.run(import_contacts, who, [text])
    if not (done.saved or done.left_out):
        raise WrongUsage(f"{file} has no contact in it; a vCard file has lines BEGIN:VCARD")
    if as_json:
        print_json({"contacts": done.saved, "left_out": done.left_out})
    else:
        print(f"contacts imported: {done.saved}; left out: {done.left_out}")
    if done.left_out:
        raise typer.Exit(NOT_DONE)


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
    prefix: Prefix = "",
    ignore_quota: IgnoreQuota = False,
    again: Again = False,
    dry_run: OnlyCount = False,
    as_json: AsJson = False,
) -> None:
    """Import an account at another IMAP server: mailboxes, messages, flags, keywords, dates.

    Nothing changes there. After a lost connection it goes on where it was. The command can be run
    again at any time: it imports only what is new. The server may be running. The password is
    asked for, or is in a file, or in the environment variable ZAJIL_IMAP_PASSWORD.

    Exit status: 0 done, 1 something was left out (it is listed), 2 wrong usage.
    """
    from zajil.operations.moving.imap_source import ImapSource

    choice = make_choice(
        only, exclude, since, dry_run, prefix=prefix, ignore_quota=ignore_quota, again=again
    )
    account = read_imap_account(host, user, password_file, token_file, tls, ca_file, pin)
    import_from(context, who, ImapSource(account, choice.since_ms), choice, as_json)


def caller() -> tuple[int, int]:
    """Return the user and the group that typed the command, before it becomes the server's."""
    return os.geteuid(), os.getegid()


def levels_of(name: str) -> tuple[str, ...]:
    """Return the levels of a mailbox's name."""
    return tuple(level for level in name.split("/") if level)


def make_choice(
    only: list[str] | None,
    exclude: list[str] | None,
    since: str | None,
    dry_run: bool,
    *,
    prefix: str = "",
    ignore_quota: bool = False,
    again: bool = False,
) -> MovingChoice:
    """Return what the options mean.

    Raises:
        WrongUsage: ``--since`` is no time.
    """
    from zajil.operations.moving.move_in import MovingChoice

    return MovingChoice(
        prefix=levels_of(prefix),
        only=tuple(only or ()),
        exclude=tuple(exclude or ()),
        since_ms=parse_since(since),
        dry_run=dry_run,
        ignore_quota=ignore_quota,
        again=again,
    )


def import_from(
    context: typer.Context, who: str, source: MailSource[Any], choice: MovingChoice, as_json: bool
) -> None:
    """Import a source, close it, and say what came of it.

    Raises:
        typer.Exit: with status 1: something was left out.
    """
    from zajil.operations.moving.move_in import import_mail

    try:
        with (
            open_operations(context) as operations,
            progress_bar("importing", quiet=as_json) as progress,
        ):
            report = operations.run(import_mail, who, source, choice, progress)
    finally:
        source.close()
    verb = "to be imported" if choice.dry_run else "imported"
    print_report(report, (verb, "imported earlier"), choice.dry_run, as_json)


def print_report(report: Report, verbs: tuple[str, str], dry_run: bool, as_json: bool) -> None:
    """Print what a run did and what it left out.

    Args:
        report: of the run.
        verbs: what was done with messages, and what is said of those that were there already.
        dry_run: nothing was written.
        as_json: print it as an object.

    Raises:
        typer.Exit: with status 1: something was left out.
    """
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "messages": report.moved,
                "bytes": report.size,
                "known": report.known,
                "mailboxes": report.mailboxes,
                "new_mailboxes": report.created,
                "notes": report.notes,
                "left_out": [{"what": one.what, "why": one.why} for one in report.left_out],
                "left_out_count": report.left_out_count,
                "stopped": report.stopped,
            }
        )
    else:
        for one in report.left_out:
            print(f"left out: {printable(one.what)}: {printable(one.why)}")
        for note in report.notes:
            print(printable(note))
        size = "" if dry_run else f", {spell_size(report.size)}"
        moved = spell_count(report.moved, "message")
        print(f"{verbs[0]}: {moved}{size}; mailboxes: {report.mailboxes}")
        if report.known:
            print(f"{verbs[1]}: {spell_count(report.known, 'message')}")
        if report.created:
            print(f"new mailboxes: {report.created}")
        if report.left_out_count:
            print(f"left out: {report.left_out_count}")
        if report.stopped:
            print(f"stopped: {printable(report.stopped)}; run the command again to go on")
    if report.left_out_count or report.stopped:
        raise typer.Exit(NOT_DONE)
