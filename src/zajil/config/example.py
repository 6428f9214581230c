"""The commented example file and the reference page, both generated from the models.

Law: an option without a description cannot be shown, and a test fails for it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from zajil.config.kinds import NEEDS_RESTART, Kind
from zajil.config.load import option_groups, own_options
from zajil.config.options_group import Options
from zajil.config.toml_text import toml_value

_WIDTH = 88
_PLAIN = {str: "text", int: "number", float: "number", bool: "true or false"}


def example_file(chosen: Mapping[str, Any], title: str) -> str:
    """Return a configuration file with every option explained.

    Args:
        chosen: dotted option to value: these are set; all others stand as comments with their
            defaults, ready to be uncommented.
        title: first line, a comment.
    """
    lines = [f"# {title}"]
    for group, options in option_groups().items():
        lines += ["", "", *_comment(_purpose(options)), f"[{group}]"]
        for name, field in own_options(options).items():
            lines += ["", *_comment(_describe(field))]
            option = f"{group}.{name}"
            if option in chosen:
                lines.append(f"{name} = {toml_value(chosen[option])}")
            else:
                lines.append(f"# {name} = {_default_or_example(field)}")
    return "\n".join(lines) + "\n"


def example_values() -> dict[str, Any]:
    """Return an example for each option that has no default: what makes the example file load."""
    return {
        f"{group}.{name}": field.examples[0]
        for group, options in option_groups().items()
        for name, field in own_options(options).items()
        if field.is_required() and field.examples
    }


def reference_page() -> str:
    """Return ``docs/reference/options.md``."""
    lines = [
        "# Options",
        "",
        "Every option of the configuration file. Durations and sizes are written with a unit",
        '(`"30s"`, `"5d"`, `"25MiB"`). A table begins with its name in brackets: `[queue]`.',
        "`zajil config example` prints a file with all of them, `zajil config check` reads yours.",
        "A reload applies changes to a running server without an interruption ([Change",
        "options](../run/reload.md)); the options that take effect at the next start say so.",
    ]
    for group, purpose, options in option_texts():
        lines += ["", f"## {group}", "", purpose]
        lines += ["", "| Option | Value | Default | |", "|---|---|---|---|"]
        for one in options:
            default = f"`{one.default}`" if one.default else "none"
            if one.is_required:
                default = "required"
            lines.append(f"| `{group}.{one.name}` | {one.kind} | {default} | {one.description} |")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class OptionText:
    """One option for a manual."""

    name: str
    """Without the table."""
    kind: str
    """In words; values in backquotes."""
    is_required: bool
    default: str | None
    """As the file writes it; ``None``: no value."""
    description: str


def option_texts() -> Iterator[tuple[str, str, list[OptionText]]]:
    """Return each table of the file: its name, its purpose in a sentence, its options."""
    for group, options in option_groups().items():
        texts = []
        for name, field in own_options(options).items():
            default = None
            if not field.is_required() and field.get_default(call_default_factory=True) is not None:
                default = _default_or_example(field)
            texts.append(
                OptionText(
                    name,
                    describe_kind(field),
                    field.is_required(),
                    default,
                    _describe(field),
                )
            )
        yield group, _purpose(options), texts


def describe_kind(field: FieldInfo) -> str:
    """Return the type of an option in words: ``duration``, ``list of ADDRESS:PORT``."""
    for mark in field.metadata:
        if isinstance(mark, Kind):
            return mark.word
    word = _describe_type(field.annotation)
    limits = [
        f"{words} {value}"
        for mark in field.metadata
        for name, words in (("ge", "at least"), ("le", "at most"))
        if (value := getattr(mark, name, None)) is not None
    ]
    return ", ".join([word, *limits])


def _describe_type(kind: Any) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{toml_value(word)}`" for word in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_describe_type(one) for one in arguments if one is not NoneType)
    if origin is tuple:
        return f"list of {_describe_type(arguments[0])}"
    if origin is dict:
        return f"table of {_describe_type(arguments[1])}"
    for mark in getattr(kind, "__metadata__", ()):
        if isinstance(mark, Kind):
            return mark.word
    raise TypeError(f"an option of the kind {kind} cannot be described")


def _default_or_example(field: FieldInfo) -> str:
    default = None
    if not field.is_required():
        default = field.get_default(call_default_factory=True)
    if default is None:
        return toml_value((field.examples or [""])[0])
    for mark in field.metadata:
        if isinstance(mark, Kind):
            return toml_value(mark.show(default))
    return toml_value(default)


def _describe(field: FieldInfo) -> str:
    """Return the text of an option, and whether a reload applies it."""
    text = field.description or ""
    return f"{text} Takes effect at the next start." if NEEDS_RESTART in field.metadata else text


def _purpose(options: type[Options]) -> str:
    """The sentence of a group's docstring, without the name in front."""
    sentence = " ".join((options.__doc__ or "").split()).partition(": ")[2]
    return sentence[:1].upper() + sentence[1:]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
