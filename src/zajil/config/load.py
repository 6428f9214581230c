"""Loads the configuration file as ``Configuration``; each mistake becomes one clear sentence.

Laws:
- Nothing here prints, and the contents of a file raise nothing but ``BadConfiguration``.
- All mistakes of a file are reported together.
- Reasons never contain the values of secret options.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from zajil.config.kinds import BadOption
from zajil.config.options import Configuration
from zajil.config.options_group import Options, option_name
from zajil.core.errors import Invalid


class BadConfiguration(Invalid):
    """One mistake in the configuration; its text is a whole sentence for the operator."""

    def __init__(
        self,
        file: str,
        option: str | None,
        reason: str,
        nearest: str | None = None,
        others: tuple[BadConfiguration, ...] = (),
    ) -> None:
        where = f"{file}: {option}" if option else file
        hint = f"; did you mean {nearest}?" if nearest else ""
        super().__init__(f"{where}: {reason}{hint}")
        self.file = file
        """Path of the file, or ``--set`` for an override."""
        self.option = option
        """Dotted name: ``queue.first_retry``; ``None`` when the file itself is wrong."""
        self.reason = reason
        self.nearest = nearest
        """The known option that an unknown one is most like."""
        self.others = others
        """Further mistakes of the same file, in its order."""


def load_configuration(path: Path, overrides: Sequence[str] = ()) -> Configuration:
    """Read the file, apply the overrides, check everything.

    Args:
        path: a TOML file; relative paths in it are taken from its folder.
        overrides: ``queue.first_retry=30s``: the value as TOML has it, or bare text.

    Raises:
        BadConfiguration: the file cannot be read, or an option is unknown, missing or wrong.
    """
    return parse_configuration(_text(path), path, overrides)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise BadConfiguration(str(path), None, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadConfiguration(str(path), None, "it is not UTF-8 text") from None


def parse_configuration(text: str, path: Path, overrides: Sequence[str] = ()) -> Configuration:
    """Check the text of a file; ``path`` is where it stands, or will stand.

    Raises:
        BadConfiguration: not TOML, or an option is unknown, missing or wrong.
    """
    return _checked(_tree(text, path), path, overrides)


def load_older_configuration(
    path: Path, overrides: Sequence[str] = ()
) -> tuple[Configuration, list[BadConfiguration]]:
    """Read a file that was written for an older version.

    Returns:
        The configuration as it would be with options under their new names and without those that
        were removed; and what the file has to be changed for.

    Raises:
        BadConfiguration: it has another mistake.
    """
    tree, changes = _tree(_text(path), path), []
    for option, new in {**RENAMED, **dict.fromkeys(REMOVED)}.items():
        *tables, name = option.split(".")
        if name not in (table := _table(tree, tables)):
            continue
        value = table.pop(name)
        if new is not None:
            *tables, name = new.split(".")
            _table(tree, tables, creates=True).setdefault(name, value)
        changes.append(BadConfiguration(str(path), option, _old_option(option)))
    return _checked(tree, path, overrides), changes


def _table(tree: dict[str, Any], names: Sequence[str], *, creates: bool = False) -> dict[str, Any]:
    for name in names:
        below = tree.setdefault(name, {}) if creates else tree.get(name)
        if not isinstance(below, dict):
            return {}
        tree = below
    return tree


def _tree(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadConfiguration(str(path), None, f"it is not TOML: {error}") from None


def _checked(tree: dict[str, Any], path: Path, overrides: Sequence[str]) -> Configuration:
    overridden = {apply_override(tree, override) for override in overrides}
    try:
        return Configuration.model_validate(
            tree, context={"folder": path.resolve().parent}, by_alias=True, by_name=False
        )
    except ValidationError as error:
        mistakes = [
            _mistake(detail, str(path), overridden)
            for detail in error.errors(include_url=False, include_input=False)
        ]
    first, *rest = mistakes
    raise BadConfiguration(first.file, first.option, first.reason, first.nearest, tuple(rest))


def option_names() -> list[str]:
    """Every dotted name, in the order of the manual."""
    return [
        f"{group}.{name}"
        for group, options in option_groups().items()
        for name in own_options(options)
    ]


def option_value(configuration: Configuration, option: str) -> Any:
    """Return the value of an option by its dotted name."""
    value: Any = configuration
    for part in option.split("."):
        fields = {option_name(field): field for field in type(value).model_fields}
        value = getattr(value, fields[part])
    return value


def option_groups() -> dict[str, type[Options]]:
    """The tables of the file and their classes, in the order of the manual: dotted where nested."""
    return dict(_groups(Configuration, ""))


def own_options(options: type[Options]) -> dict[str, FieldInfo]:
    """The options of a table by their names, without the tables in it."""
    return {
        option_name(name): field
        for name, field in options.model_fields.items()
        if _nested(field) is None
    }


def _groups(options: type[Options], prefix: str) -> Iterator[tuple[str, type[Options]]]:
    for name, field in options.model_fields.items():
        nested = _nested(field)
        if nested is not None:
            yield f"{prefix}{name}", nested
            yield from _groups(nested, f"{prefix}{name}.")


def _nested(field: FieldInfo) -> type[Options] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Options) else None


def apply_override(tree: dict[str, Any], override: str) -> str:
    """Put one ``KEY=VALUE`` into the tree; give its dotted key."""
    key, equals, text = override.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names) or len(names) < 2:
        raise BadConfiguration(
            "--set", None, f"{override!r} is not TABLE.OPTION=VALUE, like queue.lease=5m"
        )
    table = tree
    for name in names[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise BadConfiguration("--set", ".".join(names), f"{name} is not a table", _near(names))
    table[names[-1]] = _override_value(text.strip())
    return ".".join(names)


def _override_value(text: str) -> Any:
    # TOML where it means something to us, so that lists and numbers can be given; else bare text,
    # so that nobody quotes 30s twice for the shell. TOML's dates are no option's value.
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, KeyError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str | list | dict) else text


def _mistake(detail: ErrorDetails, file: str, overridden: set[str]) -> BadConfiguration:
    names = [str(part) for part in detail["loc"]]
    context: Mapping[str, Any] = detail.get("ctx", {})
    error = context.get("error")
    option = error.option if isinstance(error, BadOption) else _dotted(detail["loc"])
    source = "--set" if any(_is_within(option, key) for key in overridden) else file
    match detail["type"]:
        case "extra_forbidden":
            if any(_is_within(key, option) for key in overridden):
                source = "--set"  # an override made the unknown table
            if option in RENAMED or option in REMOVED:
                return BadConfiguration(source, option, _old_option(option))
            reason = "there is no such option" if len(names) > 1 else "there is no such table"
            return BadConfiguration(source, option, reason, _near(names))
        case "missing":
            return BadConfiguration(source, option, "it is required and not given")
        case "value_error":
            return BadConfiguration(source, option, str(error))
        case "tuple_type":
            return BadConfiguration(source, option, 'it should be a list, like ["one", "two"]')
        case "model_type" | "model_attributes_type" | "dict_type":
            return BadConfiguration(source, option, f"it is a table, written [{option}]")
        case _:
            reason = detail["msg"].replace("Input should be", "it should be").replace("'", '"')
            return BadConfiguration(source, option, reason[:1].lower() + reason[1:])


def _old_option(option: str) -> str:
    if option in RENAMED:
        return f"it was renamed to {RENAMED[option]}"
    return f"it was removed: {REMOVED[option]}"


def _dotted(loc: tuple[int | str, ...]) -> str:
    """``("listen", "smtp", 0)`` is ``listen.smtp[0]``."""
    text = ""
    for part in loc:
        if part != "[key]":  # pydantic's mark of a wrong key, which is named already
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _is_within(option: str, key: str) -> bool:
    return option == key or option.startswith((f"{key}.", f"{key}["))


def _near(names: Sequence[str]) -> str | None:
    """The known option, or table, that an unknown one is most like."""
    groups = option_groups()
    if len(names) == 1 and (tables := get_close_matches(names[0], groups, 1)):
        return f"[{tables[0]}]"
    own = groups.get(names[0])
    if own and (fields := get_close_matches(names[-1], own_options(own), 1)):
        return f"{names[0]}.{fields[0]}"
    # The right word in the wrong table, then the whole name as it might have been mistyped.
    by_last: dict[str, str] = {}
    for option in option_names():
        by_last.setdefault(option.rpartition(".")[2], option)
    if names[-1] in by_last:
        return by_last[names[-1]]
    whole = get_close_matches(".".join(names), option_names(), 1)
    if whole and not own:
        return whole[0]
    last = get_close_matches(names[-1], by_last, 1)
    return by_last[last[0]] if last else None


RENAMED = {
    "check.words.least_mails": "check.words.min_mails",
    "check.words.most_words": "check.words.max_words",
    "check.words.most_words_per_account": "check.words.max_words_per_account",
    "keys.revoked_for": "keys.revoked_record_lifetime",
    "limits.free_errors": "limits.soft_error_limit",
    "limits.pending": "limits.max_pending_bytes",
    "net.lenient_peers": "net.bare_lf_peers",
    "submit.future_release_max": "submit.max_future_release",
}
"""Options under another name in earlier versions: a file that still has the old one is told."""
REMOVED = {"check.sender.bimi": "delete the line; logos of senders need web.bimi_roots now"}
"""Options of earlier versions that are gone, and what to do."""
