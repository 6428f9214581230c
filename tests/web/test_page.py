"""The code of templates is compiled once in a process, and again when the source is another."""

from __future__ import annotations

from jinja2 import DictLoader, Environment

from zajil.web.page import CompiledTemplates


def rendered(compiled: CompiledTemplates, source: str) -> str:
    """Render a template in an environment of its own."""
    environment = Environment(
        loader=DictLoader({"page": source}), bytecode_cache=compiled, autoescape=True
    )
    return environment.get_template("page").render(value="<b>")


def test_environments_share_the_code_of_a_template() -> None:
    compiled = CompiledTemplates()
    assert rendered(compiled, "one {{ value }}") == "one &lt;b&gt;"
    assert rendered(compiled, "one {{ value }}") == "one &lt;b&gt;"
    assert len(compiled) == 1


def test_another_source_is_compiled() -> None:
    compiled = CompiledTemplates()
    assert rendered(compiled, "one") == "one"
    assert rendered(compiled, "two") == "two"
    assert len(compiled) == 2
