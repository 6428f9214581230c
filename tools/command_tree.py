"""The commands of ``zajil`` as plain values: what manuals and completion files are made from."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from zajil.cli.main import app


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An argument or an option of a command."""

    is_argument: bool
    on_spellings: tuple[str, ...]
    """Of an option: ``--yes``; of an argument: its name in capitals."""
    off_spellings: tuple[str, ...]
    """Of an option that can be turned off: ``--no-keep``."""
    value: str | None
    """What stands for the value: ``FILE``; ``None``: an option without one."""
    is_required: bool
    is_repeatable: bool
    is_path: bool
    """The value is a file or a folder."""
    choices: tuple[str, ...]
    """The values that are possible; empty: not a closed list."""
    variable: str | None
    """Environment variable that is read if the option is not given."""
    help: str

    @property
    def spellings(self) -> tuple[str, ...]:
        """All forms."""
        return self.on_spellings + self.off_spellings


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandNode:
    """A command, or a group of commands."""

    name: str
    """The last word: ``add``."""
    path: tuple[str, ...]
    """All words: ``zajil``, ``account``, ``add``."""
    help: str
    """Paragraphs, separated by empty lines."""
    parameters: tuple[Parameter, ...]
    commands: tuple[CommandNode, ...]

    @property
    def is_group(self) -> bool:
        """Whether it only has commands below it."""
        return bool(self.commands)

    @property
    def summary(self) -> str:
        """The first paragraph in one line."""
        return " ".join(self.help.partition("\n\n")[0].split())

    def walk(self) -> Iterator[CommandNode]:
        """Return this node and all below it, a group before its commands."""
        yield self
        for command in self.commands:
            yield from command.walk()


def command_tree() -> CommandNode:
    """Return ``zajil`` with all its commands; hidden ones and hidden options are left out."""
    return _node(typer.main.get_command(app), ("zajil",))


def _node(command: Any, path: tuple[str, ...]) -> CommandNode:
    children: dict[str, Any] = dict(getattr(command, "commands", {}))
    return CommandNode(
        name=path[-1],
        path=path,
        help=inspect.cleandoc(command.help or ""),
        parameters=tuple(
            _parameter(one) for one in command.params if not getattr(one, "hidden", False)
        ),
        commands=tuple(
            _node(one, (*path, name)) for name, one in children.items() if not one.hidden
        ),
    )


def _parameter(one: Any) -> Parameter:
    is_argument = one.param_type_name == "argument"
    name = one.metavar or str(one.name).upper()
    value: str | None = name
    if not is_argument and one.is_flag:
        value = None
    choices = tuple(_choices(one.type_descriptor.annotation))
    if not choices and "|" in (one.metavar or "") and one.metavar.islower():
        choices = tuple(one.metavar.split("|"))
    return Parameter(
        is_argument=is_argument,
        on_spellings=(name,) if is_argument else tuple(one.opts),
        off_spellings=() if is_argument else tuple(one.secondary_opts),
        value=value,
        is_required=bool(one.required),
        is_repeatable=bool(getattr(one, "multiple", False)) or one.nargs == -1,
        is_path=_mentions_path(one.type_descriptor.annotation)
        or (one.metavar or "").partition("|")[0] in ("FILE", "PEM"),
        choices=choices,
        variable=one.envvar if isinstance(one.envvar, str) else None,
        help=" ".join((getattr(one, "help", None) or "").split()),
    )


def _choices(kind: Any) -> Iterator[str]:
    if get_origin(kind) is Literal:
        yield from (str(one) for one in get_args(kind))
    for one in get_args(kind) if get_origin(kind) is not Literal else ():
        yield from _choices(one)


def _mentions_path(kind: Any) -> bool:
    return kind is Path or any(_mentions_path(one) for one in get_args(kind))
