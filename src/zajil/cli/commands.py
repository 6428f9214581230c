"""The commands by name: the module of a command is imported when the command is chosen.

A command would otherwise wait for the modules of all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

if TYPE_CHECKING:
    from typer._click import Command, Context

PLACES = {
    "setup": "setup:setup",
    "serve": "serve:serve",
    "reload": "control:reload",
    "status": "control:status",
    "lab": "lab:lab",
    "audit": "audit:audit",
    "shard": "shard:shard_app",
    "domain": "domain:domain_app",
    "account": "account:account_app",
    "directory": "directory:directory_app",
    "import": "importing:import_app",
    "export": "exporting:export_app",
    "mailbox": "mailbox:mailbox_app",
    "alias": "alias:alias_app",
    "queue": "queue:queue_app",
    "journey": "journey:journey_app",
    "alerts": "alerts:alerts_app",
    "message": "message:message_app",
    "dns": "dns:dns_app",
    "probe": "probe:probe",
    "roundtrip": "roundtrip:roundtrip",
    "dkim": "dkim:dkim_app",
    "tls": "tls:tls_app",
    "spf": "spf:spf_app",
    "dmarc": "dmarc:dmarc_app",
    "arc": "arc:arc_app",
    "store": "store:store_app",
    "node": "node:node_app",
    "upgrade": "upgrade:upgrade_app",
    "backup": "backup:backup_app",
    "check": "check:check_app",
    "config": "config:config_app",
    "self-check": "self_check:self_check",
}
"""Module of ``zajil.cli`` and name in it: a function, or the group of several commands."""


class SetupCommand(TyperCommand):
    """``zajil setup``: the value of ``--web`` can be left out."""

    WEB, ANY_PORT = "--web", "127.0.0.1:0"

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Add the default after a ``--web`` that is last or before another option."""
        if self.WEB in args:
            after = args.index(self.WEB) + 1
            if after == len(args) or args[after].startswith("-"):
                args = [*args[:after], self.ANY_PORT, *args[after:]]
        return super().parse_args(ctx, args)


class Commands(Mapping[str, "Command"]):
    """All commands, in the order of the help; each is imported when it is asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._made:
            module, _, attribute = PLACES[name].partition(":")
            found: Any = getattr(import_module(f"zajil.cli.{module}"), attribute)
            parent = typer.Typer()
            if isinstance(found, typer.Typer):
                parent.add_typer(found)
            else:
                parent.command(name, cls=SetupCommand if name == "setup" else None)(found)
            self._made[name] = get_group(parent).commands[name]
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


class RootGroup(TyperGroup):
    """``zajil`` itself."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast("MutableMapping[str, Command]", Commands())  # nothing adds to it
