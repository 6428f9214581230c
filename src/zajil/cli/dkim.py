"""``zajil dkim``: DKIM signatures and keys."""

from __future__ import annotations

import typer

from zajil.cli import dkim_keys, dkim_message

dkim_app = typer.Typer(
    name="dkim",
    help="DKIM: signatures of messages, and the keys of this server.",
    no_args_is_help=True,
)

dkim_app.command("verify")(dkim_message.verify)
dkim_app.command("sign")(dkim_message.sign)
dkim_app.command("keys")(dkim_keys.keys)
dkim_app.command("rotate")(dkim_keys.rotate)
dkim_app.command("revoke")(dkim_keys.revoke)
