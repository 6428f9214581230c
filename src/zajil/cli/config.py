"""``zajil config``: the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zajil.cli.configured import configuration_file, read_configuration
from zajil.cli.errors import NOT_DONE
from zajil.cli.output import AsJson, print_json

config_app = typer.Typer(name="config", help="The configuration file.", no_args_is_help=True)


@config_app.command("example")
def example() -> None:
    """Print a configuration with every option, its meaning and its default."""
    from zajil.config.example import example_file, example_values

    print(example_file(example_values(), "Zajil, mail server"), end="")


@config_app.command("check")
def check(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="The file; default: that of --config.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a server could start with the configuration, and what is wrong if not.

    Exit status: 0 it is right, 1 a file it names cannot be used, 2 an option is wrong.
    """
    from zajil.config.load import BadConfiguration
    from zajil.tls.context import BadCertificate, client_context, server_context

    try:
        configuration = read_configuration(context, file)
    except BadConfiguration as error:
        if not as_json:
            raise
        mistakes = [
            {"file": one.file, "option": one.option, "reason": one.reason, "nearest": one.nearest}
            for one in (error, *error.others)
        ]
        print_json({"ok": False, "mistakes": mistakes})
        raise typer.Exit(2) from None
    name = str(configuration_file(context, file))
    tls = configuration.tls
    try:
        if tls.certificate and tls.key:
            server_context(tls.certificate, tls.key)
        client_context(tls.ca_file, verify=True)
    except BadCertificate as error:
        if not as_json:
            raise
        mistake = {"file": name, "option": "tls", "reason": str(error), "nearest": None}
        print_json({"ok": False, "mistakes": [mistake]})
        raise typer.Exit(NOT_DONE) from None
    if as_json:
        print_json({"ok": True, "mistakes": []})
    else:
        print(f"{name} is right")
