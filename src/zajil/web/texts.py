"""What the templates call for texts: ``_``, ``ngettext``, ``pgettext`` and ``npgettext``.

Numbers in the places of a text are written in the digits of the visitor.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from zajil.web.language import Language


def install_texts(environment: Environment, language: Language) -> None:
    """Let templates translate; a template without a visitor speaks the language as it is."""

    def language_of(context: Context) -> Language:
        visitor = context.get("visitor")
        return language if visitor is None else visitor.language

    @pass_context
    def gettext(context: Context, text: str, /, **values: Any) -> Markup:
        spoken = language_of(context)
        return _filled(spoken, spoken.gettext(text), values)

    @pass_context
    def ngettext(
        context: Context, singular: str, plural: str, number: int, /, **values: Any
    ) -> Markup:
        spoken = language_of(context)
        text = spoken.ngettext(singular, plural, number)
        return _filled(spoken, text, {"num": number, **values})

    @pass_context
    def pgettext(context: Context, where: str, text: str, /, **values: Any) -> Markup:
        spoken = language_of(context)
        return _filled(spoken, spoken.pgettext(where, text), values)

    environment.install_gettext_callables(  # type: ignore[attr-defined]
        gettext, ngettext, newstyle=False, pgettext=pgettext
    )


def _filled(language: Language, text: str, values: dict[str, Any]) -> Markup:
    """Return a text of a catalog with its places filled; values that are no markup are escaped."""
    # Security: catalogs are our own; only values come from strangers.
    return Markup(text) % {  # noqa: S704
        name: language.number(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in values.items()
    }
