"""``zajil alerts``: what needs an operator now, and who is told of it."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.configured import open_operations, opened_store, read_configuration
from zajil.cli.output import AsJson, log_to_stderr, print_json, printable, spell_time

alerts_app = typer.Typer(
    name="alerts",
    help="Alerts: what needs an operator now. A running server also sends them by mail.",
    no_args_is_help=True,
)


@alerts_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List what needs an operator now, with what to do.

    A running server looks each minute; queue, keys and certificates less often, DNS records daily,
    and the store at night.

    Exit status: 0 nothing, 1 something needs an operator, 2 wrong usage.
    """
    from zajil.monitor.alert_texts import speak
    from zajil.operations.alerts import show_alerts
    from zajil.web.language import own_language

    with opened_store(context) as store:
        alerts = store.read_now(show_alerts)
    if as_json:
        print_json(
            {
                "alerts": [
                    {
                        "kind": one.condition.kind.value,
                        "subject": one.condition.subject,
                        "begun_ms": one.begun_ms,
                        "told_ms": one.told_ms or None,
                        "facts": dict(one.condition.facts),
                    }
                    for one in alerts
                ]
            }
        )
    elif not alerts:
        print("nothing needs an operator now")
    language = own_language()
    for one in () if as_json else alerts:
        spoken = speak(one.condition, language)
        of = f" {one.condition.subject}" if one.condition.subject else ""
        print(f"{printable(spoken.title)}  ({one.condition.kind.value}{printable(of)})")
        print(f"  since {spell_time(one.begun_ms)}")
        print(f"  {printable(spoken.text)}")
        print(f"  {printable(spoken.advice)}")
        print(f"  run: {printable(spoken.command)}")
    if alerts:
        raise typer.Exit(1)


@alerts_app.command("test")
def send_test(context: typer.Context, as_json: AsJson = False) -> None:
    """Send a test message to everybody who gets alerts (alerts.to, else all administrators).

    Exit status: 0 sent, 1 nobody gets alerts, or it cannot be sent; 2 wrong usage.
    """
    from zajil.app.alerting import find_language
    from zajil.operations.alerts import send_test_alert

    log_to_stderr()
    with open_operations(context) as operations:
        configuration = read_configuration(context)
        sent = operations.run_started(send_test_alert, configuration, find_language)
    if as_json:
        print_json({"sent": list(sent)})
    elif not sent:
        print("nobody gets alerts: set alerts.to, or make an account an administrator")
    for address in () if as_json else sent:
        print(f"sent to {printable(address)}")
    if not sent:
        raise typer.Exit(1)


@alerts_app.command("dismiss")
def dismiss(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="Kind, as `zajil alerts list` shows it.")],
    subject: Annotated[str, typer.Argument(help="Domain or certificate, where it has one.")] = "",
) -> None:
    """Forget an alert. It comes back if the condition is found again.

    Of kind dns: the records as they are now are taken as right.

    Exit status: 0 done, 1 there is no such alert, 2 wrong usage.
    """
    from zajil.operations.alerts import dismiss_alert

    with open_operations(context) as operations:
        operations.run(dismiss_alert, kind, subject)
    print("dismissed")
