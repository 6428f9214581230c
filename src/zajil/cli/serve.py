"""``zajil serve``: run a server."""

from __future__ import annotations

import functools
import signal
from typing import Annotated

import typer

from zajil.cli.configured import (
    LateConfigOption,
    Root,
    SetOption,
    configuration_file,
    read_configuration,
)


def serve(
    context: typer.Context,
    config: LateConfigOption = None,
    overrides: SetOption = None,
    ready_fd: Annotated[
        int | None,
        typer.Option(
            help="Write one line of JSON with the addresses to this descriptor when ready.",
            hidden=True,
        ),
    ] = None,
    stop_on_eof: Annotated[
        int | None,
        typer.Option(help="Stop when this descriptor is closed at its other end.", hidden=True),
    ] = None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C; SIGHUP reloads the configuration.

    Exit status: 0 stopped, 1 it could not run, 2 the configuration has an error.
    """
    signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # it never ends the server, not even during the start
    file = configuration_file(context, config).resolve()
    load = functools.partial(read_configuration, context, file, tuple(overrides or ()))
    configuration = load()

    from zajil.app.serve import serve as serve_app

    root: Root = context.find_root().obj
    status = serve_app(
        configuration,
        file=file,
        load=load,
        overrides=(*root.overrides, *(overrides or ())),
        ready_fd=ready_fd,
        stop_fd=stop_on_eof,
    )
    raise typer.Exit(status)
