"""The example file is a configuration, with every option in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.config.example import example_file, example_values, reference_page
from zajil.config.load import option_names, parse_configuration
from zajil.config.options import Configuration
from zajil.config.options_server import ServerOptions
from zajil.config.toml_text import toml_value


def test_the_example_loads_with_the_defaults() -> None:
    text = example_file(example_values(), "Zajil")
    loaded = parse_configuration(text, Path("/etc/z.toml"))
    bare = ServerOptions(
        hostname=loaded.server.hostname,
        data_dir=loaded.server.data_dir,
    )
    assert loaded == Configuration(server=bare)


def test_the_example_loads_with_every_comment_taken_away() -> None:
    text = example_file(example_values(), "Zajil")
    bare = re.sub(r"^# ([a-z0-9_]+ = )", r"\1", text, flags=re.M)
    assert options_in(tomllib.loads(bare)) == option_names()
    parse_configuration(bare, Path("/etc/z.toml"))


def options_in(tree: dict[str, Any], above: str = "") -> list[str]:
    """Give the dotted names, those in tables of tables too."""
    known, found = option_names(), []
    for name, value in tree.items():
        dotted = f"{above}{name}"
        is_option = dotted in known
        found += [dotted] if is_option else options_in(value, f"{dotted}.")
    return found


def test_what_is_chosen_is_set() -> None:
    text = example_file({**example_values(), "queue.lifetime": "2d"}, "Zajil")
    assert parse_configuration(text, Path("/z")).queue.lifetime_ms == 2 * 86_400_000


def test_the_reference_has_every_option() -> None:
    page = reference_page()
    for option in option_names():
        assert f"| `{option}` |" in page


VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**62), 2**62),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_toml_text_is_read_back(value: Any) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value


def test_no_option_holds_anything_else() -> None:
    with pytest.raises(TypeError):
        toml_value(object())
