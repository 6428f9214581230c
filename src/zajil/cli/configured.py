"""The configuration that ``--config`` names, and the store of its server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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


ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="NAME",
        help="Work on one shard of store.shards. Default: that of the address or domain that the "
        "command names, else main.",
        show_default=False,
    ),
]
OF_THE_SERVER = (
    *("setup", "serve", "reload", "status", "lab", "config", "self-check", "probe", "tls"),
    "shard",
)
"""Commands about the whole server: they take no ``--shard``."""
_NAMING = ("who", "address", "domain", "domains", "account", "user", "alias")
"""Arguments of commands that say which shard is meant."""


@dataclass(frozen=True, slots=True)
class Root:
    """The options before the command name."""

    file: Path | None
    overrides: tuple[str, ...]
    shard: str | None = None
    told: set[str] = field(default_factory=set)
    """Sentences that were printed once."""


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
    """Read and check the configuration; where there are shards, that of the shard that is meant.

    Raises:
        WrongUsage: there is no configuration file.
        BadConfiguration: it has an error.
        NoSuchShard: ``--shard`` names none.
        WrongUser, StoreUnavailable: the catalogue of shards cannot be read.
    """
    whole = read_whole_configuration(context, file, overrides)
    root: Root = context.find_root().obj
    if root.shard is None and not whole.store.shards:
        return whole
    from zajil.config.shards import configuration_of

    return configuration_of(whole, chosen_shard(context, whole))


def read_whole_configuration(
    context: typer.Context, file: Path | None = None, overrides: tuple[str, ...] = ()
) -> Configuration:
    """Read and check the configuration of the server, with all its shards.

    Raises:
        WrongUsage: there is no configuration file.
        BadConfiguration: it has an error.
    """
    from zajil.config.load import load_configuration

    root: Root = context.find_root().obj
    return load_configuration(configuration_file(context, file), (*root.overrides, *overrides))


def chosen_shard(context: typer.Context, configuration: Configuration) -> str:
    """Return the shard that ``--shard`` names, else that of the names which the command got.

    Raises:
        WrongUser, StoreUnavailable: the catalogue cannot be read.
    """
    from zajil.config.options_shards import MAIN_SHARD

    root: Root = context.find_root().obj
    group = context.find_root().invoked_subcommand
    if group in OF_THE_SERVER:
        return MAIN_SHARD
    if root.shard is not None:
        return root.shard
    from zajil.operations.shards import find_shard

    given = (context.params.get(name) for name in _NAMING)
    subjects = [one for value in given for one in _texts(value)]
    if subjects:
        return find_shard(configuration, subjects)
    others = ", ".join(configuration.store.shards)
    text = f"zajil: this is about the shard main; --shard NAME chooses another one ({others})"
    if text not in root.told and not context.params.get("as_json"):
        root.told.add(text)
        print(text, file=sys.stderr)
    return MAIN_SHARD


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


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
