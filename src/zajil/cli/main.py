"""The root of the command line: groups, options of all commands, errors to exit status."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from zajil.cli.account import account_app
from zajil.cli.alias import alias_app
from zajil.cli.arc import arc_app
from zajil.cli.audit import audit
from zajil.cli.check import check_app
from zajil.cli.config import config_app
from zajil.cli.configured import ConfigOption, Root, SetOption
from zajil.cli.dkim import dkim_app
from zajil.cli.dmarc import dmarc_app
from zajil.cli.dns import dns_app
from zajil.cli.domain import domain_app
from zajil.cli.errors import fail
from zajil.cli.journey import journey_app
from zajil.cli.lab import lab
from zajil.cli.message import message_app
from zajil.cli.queue import queue_app
from zajil.cli.serve import serve
from zajil.cli.setup import setup
from zajil.cli.spf import spf_app
from zajil.cli.store import store_app
from zajil.cli.tls import tls_app
from zajil.core.errors import ZajilError

app = typer.Typer(
    name="zajil",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"zajil {version('zajil')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: ConfigOption = None,
    overrides: SetOption = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Zajil: a complete mail system that shows every step of each mail."""
    context.obj = Root(config, tuple(overrides or ()))


app.command("setup")(setup)
app.command("serve")(serve)
app.command("lab")(lab)
app.command("audit")(audit)
for _group in (
    domain_app,
    account_app,
    alias_app,
    queue_app,
    journey_app,
    message_app,
    dns_app,
    dkim_app,
    tls_app,
    spf_app,
    dmarc_app,
    arc_app,
    store_app,
    check_app,
    config_app,
):
    app.add_typer(_group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its status.

    Args:
        arguments: without the program's name; ``None``: those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show Arabic must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Security: what a command or the server writes is for its user alone, whatever the shell says.
    umask = os.umask(0o077)
    try:
        app(args=None if arguments is None else list(arguments))
    except BrokenPipeError:
        # `zajil queue list | head`: nobody reads any more, and Python must not try once again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except ZajilError as error:
        fail(error)
    finally:
        os.umask(umask)
