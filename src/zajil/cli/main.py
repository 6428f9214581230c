"""The root of the command line: groups, options of all commands, errors to exit status."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from zajil.cli.commands import RootGroup
from zajil.cli.configured import OF_THE_SERVER, ConfigOption, Root, SetOption, ShardOption
from zajil.cli.errors import WrongUsage, fail
from zajil.cli.output import end_log
from zajil.core.errors import ZajilError

app = typer.Typer(
    name="zajil",
    cls=RootGroup,
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
    shard: ShardOption = None,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Zajil: a complete mail system that shows every step of each mail."""
    if shard is not None and context.invoked_subcommand in OF_THE_SERVER:
        raise WrongUsage(
            f"`zajil {context.invoked_subcommand}` is about the whole server: omit --shard"
        )
    context.obj = Root(config, tuple(overrides or ()), shard)
    context.call_on_close(end_log)


_COLLECT_AFTER = 100_000
"""Objects between two runs of the collector. Imports make many objects and no garbage: with 700,
Python's default, looking for it took a tenth of a command's time."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its status.

    Args:
        arguments: without the program's name; ``None``: those of the process.
    """
    gc.set_threshold(_COLLECT_AFTER)
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
