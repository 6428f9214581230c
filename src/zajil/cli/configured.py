"""From ``--config`` to a configuration, and to the store of the server it describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.errors import WrongUsage

if TYPE_CHECKING:
    from zajil.config.options import Configuration
    from zajil.store.engine.open import Store

DEFAULT_FILE = Path("/etc/zajil/zajil.toml")

_CONFIG_HELP = f"The server's configuration; default: {DEFAULT_FILE}."
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
# After the command's name: without the variable, which would win over the option before the name.
LateConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help=_CONFIG_HELP, show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one option; repeatable."),
]


@dataclass(frozen=True, slots=True)
class Root:
    """What stands before the command's name."""

    file: Path | None
    overrides: tuple[str, ...]


def configuration_file(context: typer.Context, file: Path | None = None) -> Path:
    """Give the file that is meant.

    Args:
        context: of any command.
        file: given after the command's name, where a command takes it there too.

    Raises:
        WrongUsage: none was named, and there is none where it is looked for.
    """
    root: Root = context.find_root().obj
    chosen = file or root.file
    if chosen is None and DEFAULT_FILE.exists():
        chosen = DEFAULT_FILE
    if chosen is None:
        raise WrongUsage(
            f"which server? Give --config FILE or set ZAJIL_CONFIG (there is no {DEFAULT_FILE})"
        )
    return chosen


def read_configuration(
    context: typer.Context, file: Path | None = None, overrides: tuple[str, ...] = ()
) -> Configuration:
    """Read and check the configuration.

    Raises:
        WrongUsage: none was named.
        BadConfiguration: it is wrong.
    """
    from zajil.config.load import load_configuration

    root: Root = context.find_root().obj
    return load_configuration(configuration_file(context, file), (*root.overrides, *overrides))


@contextmanager
def opened_store(context: typer.Context) -> Iterator[Store]:
    """Open the server's store for one command, whether the server runs or not.

    Raises:
        WrongUsage, BadConfiguration: as ``read_configuration``.
        WrongUser, StoreUnavailable: as ``operations.open.open_admin_store``.
    """
    from zajil.operations.open import open_admin_store

    with open_admin_store(read_configuration(context)) as store:
        yield store
