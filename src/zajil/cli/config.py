"""``zajil config``: the configuration file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import configuration_file, read_configuration
from zajil.cli.output import AsJson, print_json
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.operations.finding import Finding

config_app = typer.Typer(name="config", help="The configuration file.", no_args_is_help=True)


@config_app.command("example")
def example() -> None:
    """Print a configuration file with every option, its description and its default."""
    from zajil.config.example import example_file, example_values

    print(example_file(example_values(), "Zajil, mail server"), end="")


@config_app.command("check")
def check(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Configuration file. Default: that of --config.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a server could run with the configuration on this machine, and what is wrong.

    Looks at certificate and key, the user, the folders and the store too; run it as root.

    Exit status: 0 it is right (warnings go to standard error), 1 something on this machine does
    not fit it, 2 an option is wrong.
    """
    from zajil.config.load import BadConfiguration
    from zajil.net.system import SystemClock
    from zajil.operations.configuration import find_mistakes

    try:
        configuration = read_configuration(context, file)
    except BadConfiguration as error:
        if not as_json:
            raise
        mistakes = [
            {"file": one.file, "option": one.option, "reason": one.reason, "nearest": one.nearest}
            for one in (error, *error.others)
        ]
        print_json({"ok": False, "mistakes": mistakes, "warnings": []})
        raise typer.Exit(2) from None
    path = configuration_file(context, file)
    found = find_mistakes(configuration, path, SystemClock().now_ms())
    is_right = all(one.is_warning for one in found)
    if as_json:
        mistakes = [_as_json(path, one) for one in found if not one.is_warning]
        warnings = [_as_json(path, one) for one in found if one.is_warning]
        print_json({"ok": is_right, "mistakes": mistakes, "warnings": warnings})
    else:
        for one in found:
            print(f"zajil: {'warning: ' if one.is_warning else ''}{path}: {one}", file=sys.stderr)
        if is_right:
            print(f"{path} is right")
    raise typer.Exit(0 if is_right else NOT_DONE)


def _as_json(file: Path, one: Finding) -> dict[str, str | None]:
    return {
        "file": str(file),
        "option": one.option,
        "reason": one.reason,
        "nearest": one.nearest,
    }
