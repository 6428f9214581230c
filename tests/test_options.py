"""Style C9: each option has a text, and an example where it has no default."""

from __future__ import annotations

import pytest
from pydantic.fields import FieldInfo

from zajil.config.example import describe_kind
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
