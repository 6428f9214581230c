"""``zajil journey``: what happened to a mail, and where it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import opened_store
from zajil.cli.output import (
    AsJson,
    Since,
    parse_since,
    print_json,
    print_table,
    printable,
    spell_time,
)

if TYPE_CHECKING:
    from zajil.tracking.journey import Journey

journey_app = typer.Typer(
    name="journey", help="What happened to a mail, step by step.", no_args_is_help=True
)


@journey_app.command("show")
def show(
    context: typer.Context,
    mail_id: Annotated[
        str,
        typer.Argument(
            help="Id of the mail: in our Received field, our 250 reply, or `zajil journey find`."
        ),
    ],
    details: Annotated[
        bool, typer.Option("--details", help="Also print DNS answers and SMTP dialogues.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show everything that happened to a mail.

    Exit status: 0 done, 1 unknown id, 2 wrong usage.
    """
    from zajil.core.ids import MailId
    from zajil.operations.journey import get_journey, show_journey

    with opened_store(context) as store:
        if as_json:
            print_json(store.read_now(lambda conn: show_journey(conn, MailId(mail_id))))
            return
        journey = store.read_now(lambda conn: get_journey(conn, MailId(mail_id)))
    print_journey(journey, details)


@journey_app.command("find")
def find(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(
            help="Address of a recipient or of the alias it was sent to, or a part of it."
        ),
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", help="Address of the sender, or a part of it.")
    ] = None,
    message_id: Annotated[str | None, typer.Option(help="Content of the Message-ID field.")] = None,
    since: Since = None,
    refused: Annotated[
        bool,
        typer.Option(
            "--refused", help="Only mail that was refused, as a whole or for a recipient."
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of mails.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Find mail, newest first, including refused mail.

    Exit status: 0 done, also if none was found, 2 wrong usage.
    """
    from zajil.operations.journey import find_mails

    since_ms = parse_since(since)
    with opened_store(context) as store:
        found = store.read_now(
            lambda conn: find_mails(
                conn,
                to=to,
                sender=sender,
                message_id=message_id,
                since_ms=since_ms,
                refused=refused,
                limit=limit,
            )
        )
    if as_json:
        print_json(found)
        return
    print_table(
        ["MAIL", "TIME", "FROM", "TO", "STATE"],
        [
            [
                mail["mail_id"],
                spell_time(mail["at_ms"]),
                mail["from"],
                _shorten(mail["recipients"]),
                ", ".join(f"{count} {state}" for state, count in mail["states"].items()),
            ]
            for mail in found["mails"]
        ],
    )


@journey_app.command("sessions")
def sessions(
    context: typer.Context,
    text: Annotated[
        str | None,
        typer.Argument(help="Part of the address, of the login name, or of what happened."),
    ] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of sessions.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List failed log-ins, refused commands and refused connections, newest first.

    Exit status: 0 done, also if none was found, 2 wrong usage.
    """
    from zajil.operations.journey import find_sessions

    since_ms = parse_since(since) or 0
    with opened_store(context) as store:
        found = store.read_now(
            lambda conn: find_sessions(conn, text=text, since_ms=since_ms, limit=limit)
        )
    if as_json:
        print_json(found)
        return
    print_table(
        ["TIME", "PEER", "SERVICE", "LOGIN", "WHAT"],
        [
            [
                spell_time(session["at_ms"]),
                session["peer"] or "-",
                session["service"] or "-",
                session["login"] or "-",
                "; ".join(session["happened"]),
            ]
            for session in found["sessions"]
        ],
    )


def print_journey(journey: Journey, details: bool) -> None:
    """Print the story of a mail, step by step."""
    from zajil.tracking.journey import readable
    from zajil.tracking.story import tell_story

    print(f"{journey.mail_id}  from {printable(readable(journey.header_from))}")
    for copy in journey.recipients:
        reason = f": {printable(copy.reason)}" if copy.reason else ""
        print(f"  {printable(readable(copy.address))}  {copy.state}{reason}")
    for chapter in tell_story(journey):
        print(f"\n{chapter.stage.value}")
        for step in chapter.steps:
            print(f"  {spell_time(step.at_ms)}  {printable(step.sentence.plain())}")
            for detail in step.details if details else ():
                print(f"    {detail.label}")
                for line in detail.lines:
                    print(f"      {printable(line)}")


def _shorten(names: list[str]) -> str:
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0] if names else '-'}{rest}"
