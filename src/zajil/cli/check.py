"""``zajil check``: what speaks for and against a mail."""

from __future__ import annotations

import typer

from zajil.cli.output import AsJson, print_json, print_table

check_app = typer.Typer(
    name="check", help="What speaks for and against a mail.", no_args_is_help=True
)


@check_app.command("signals")
def signals(as_json: AsJson = False) -> None:
    """List every signal the checks know, what it weighs, and its sentence."""
    from zajil.check.signals import SIGNALS

    if as_json:
        listed = [
            {"signal": name, "weight": signal.weight, "text": signal.text}
            for name, signal in SIGNALS.items()
        ]
        print_json({"signals": listed})
        return
    rows = [(name, f"{signal.weight:g}", signal.text) for name, signal in SIGNALS.items()]
    print_table(("signal", "weight", "sentence"), rows)
