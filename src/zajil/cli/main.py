"""The root of the command line."""

from __future__ import annotations

import typer

app = typer.Typer(name="zajil", no_args_is_help=True)


def main() -> None:
    """Run the command line."""
    app()
