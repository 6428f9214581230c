"""``zajil roundtrip``: a message to an echo address and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import open_operations, read_configuration
from zajil.cli.journey import print_journey
from zajil.cli.output import AsJson, duration_ms, log_to_stderr, print_json, printable

if TYPE_CHECKING:
    from zajil.core.actor import Actor
    from zajil.core.address import Address
    from zajil.operations.context import OperationContext
    from zajil.operations.round_trip import RoundTrip


def roundtrip(
    context: typer.Context,
    to: Annotated[
        str, typer.Option(help="Echo address of another server, which answers what it gets.")
    ],
    sender: Annotated[
        str, typer.Option("--from", help="Account that writes: its login name or address.")
    ],
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long to wait for the answer.")
    ] = "5m",
    as_json: AsJson = False,
) -> None:
    """Send a message to an echo address, wait for the answer, and print both journeys.

    The server must be running: it delivers the message and receives the answer.

    Exit status: 0 the answer came, 1 it did not, or an unknown account, 2 wrong usage.
    """
    from zajil.core.address import parse_address
    from zajil.tracking.journey import journey_to_dict

    log_to_stderr()
    address, timeout_ms = parse_address(to), duration_ms(timeout, "--timeout")
    signs = read_configuration(context).keys.sign
    with open_operations(context) as operations:
        trip = operations.run_started(_go, sender, address, timeout_ms, signs)
    if as_json:
        print_json(
            {
                "answered": trip.answer is not None,
                "sent": journey_to_dict(trip.sent),
                "answer": None if trip.answer is None else journey_to_dict(trip.answer),
                "results": trip.results,
            }
        )
    else:
        _print_trip(trip, timeout)
    raise typer.Exit(0 if trip.answer is not None else 1)


async def _go(
    context: OperationContext, actor: Actor, who: str, to: Address, timeout_ms: int, signs: bool
) -> RoundTrip:
    from zajil.operations.round_trip import make_test_mailer, send_test, wait_for_answer

    mailer = make_test_mailer(context, signs=signs)
    sent = await send_test(context, actor, mailer, who, to)
    return await wait_for_answer(context, sent, to, timeout_ms)


def _print_trip(trip: RoundTrip, timeout: str) -> None:
    print("The way out\n")
    print_journey(trip.sent, details=False)
    if trip.answer is None:
        text = (
            "The message was not delivered; no answer will come."
            if trip.has_ended
            else f"No answer came in {timeout}. See later: zajil journey show {trip.sent.mail_id}"
        )
        print(f"\n{text}")
        return
    print("\nThe way back\n")
    print_journey(trip.answer, details=False)
    seconds = (trip.answer.received_at_ms - trip.sent.received_at_ms) / 1000
    print(f"\nThe answer came after {seconds:.1f} s.")
    if trip.results:
        print(f"The other server found: {printable(trip.results)}")
