"""Each option has a text, and an example where it has no default; durations have a suffix."""

from __future__ import annotations

import pytest
from pydantic.fields import FieldInfo

from zajil.config.example import describe_kind
from zajil.config.kinds import Kind
from zajil.config.load import option_groups, own_options

OPTIONS = [
    pytest.param(field, id=f"{group}.{name}")
    for group, options in option_groups().items()
    for name, field in own_options(options).items()
]


@pytest.mark.parametrize("field", OPTIONS)
def test_an_option_has_a_sentence(field: FieldInfo) -> None:
    assert field.description
    assert field.description.rstrip().endswith((".", "'."))
    assert describe_kind(field)


@pytest.mark.parametrize("field", OPTIONS)
def test_an_option_without_a_default_has_an_example(field: FieldInfo) -> None:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    assert default is not None or field.examples


@pytest.mark.parametrize("group", option_groups())
def test_a_group_begins_with_its_name(group: str) -> None:
    doc = option_groups()[group].__doc__ or ""
    assert doc.startswith(f"``[{group}]``: ")
    assert doc.endswith(".")


def test_a_field_ends_in_ms_if_and_only_if_it_is_a_duration() -> None:
    """The code sees the unit; ``option_name`` takes the suffix off for the file."""
    for group, options in option_groups().items():
        for name, field in options.model_fields.items():
            kinds = [mark.word for mark in field.metadata if isinstance(mark, Kind)]
            assert name.endswith("_ms") == ("duration" in kinds), f"{group}.{name}"
