"""The configuration that ``--config`` names, and the store of its server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.errors import WrongUsage
from zajil.config.places import CONFIGURATION_FILE

if TYPE_CHECKING:
    from zajil.config.options import Configuration
    from zajil.operations.run import Runner
    from zajil.store.engine.open import Store

_CONFIG_HELP = f"Configuration file. Default: {CONFIGURATION_FILE}."
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="ZAJIL_CONFIG",
        metavar="FILE",
        help=_CONFIG_HELP,
        show_default=False,
    ),
]
# Behind the command name it does not read the environment, which would override the option
# before the command name.
LateConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help=_CONFIG_HELP, show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a configuration option; repeatable."),
]


@dataclass(frozen=True, slots=True)
class Root:
    """The options before the command name."""

    file: Path | None
    overrides: tuple[str, ...]


def configuration_file(context: typer.Context, file: Path | None = None) -> Path:
    """Return the configuration file to use.

    Args:
        context: of any command.
        file: the option behind the command name, of commands that have it.

    Raises:
        WrongUsage: none was given, and the default file does not exist.
    """
    root: Root = context.find_root().obj
    chosen = file or root.file
    if chosen is None and CONFIGURATION_FILE.exists():
        chosen = CONFIGURATION_FILE
    if chosen is None:
        raise WrongUsage(
            "no configuration: use --config FILE or set ZAJIL_CONFIG "
            f"({CONFIGURATION_FILE} does not exist)"
        )
    return chosen


def read_configuration(
    context: typer.Context, file: Path | None = None, overrides: tuple[str, ...] = ()
) -> Configuration:
    """Read and check the configuration.

    Raises:
        WrongUsage: there is no configuration file.
        BadConfiguration: it has an error.
    """
    from zajil.config.load import load_configuration

    root: Root = context.find_root().obj
    return load_configuration(configuration_file(context, file), (*root.overrides, *overrides))


@contextmanager
def opened_store(context: typer.Context) -> Iterator[Store]:
    """Open the server's store to read from it, whether the server runs or not.

    Raises:
        WrongUsage, BadConfiguration: as ``read_configuration``.
        WrongUser, StoreUnavailable: as ``operations.run.open_admin_store``.
    """
    from zajil.operations.run import open_admin_store

    with open_admin_store(read_configuration(context)) as store:
        yield store


@contextmanager
def open_operations(context: typer.Context) -> Iterator[Runner]:
    """Open the server's store for operations of one command, whether the server runs or not.

    Raises:
        WrongUsage, BadConfiguration: as ``read_configuration``.
        WrongUser, StoreUnavailable: as ``operations.run.open_runner``.
    """
    from zajil.operations.run import open_runner

    with open_runner(read_configuration(context)) as runner:
        yield runner
