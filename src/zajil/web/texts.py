"""What the templates call for texts: ``_``, ``ngettext``, ``pgettext`` and ``npgettext``.

Numbers in the places of a text are written in the digits of the visitor.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from zajil.web.language import Language

_MOST_PLAIN = 10_000


def install_texts(environment: Environment, language: Language) -> None:
    """Let templates translate; a template without a visitor speaks the language as it is."""

    def language_of(context: Context) -> Language:
        visitor = context.get("visitor")
        return language if visitor is None else visitor.language

    plain: dict[str, Markup] = {}
    """Texts without places, which are the same for all visitors of a language."""

    @pass_context
    def gettext(context: Context, text: str, /, **values: Any) -> Markup:
        if not values and (known := plain.get(text)) is not None:
            return known
        spoken = language_of(context)
        filled = _filled(spoken, spoken.gettext(text), values)
        if not values and len(plain) < _MOST_PLAIN:
            plain[text] = filled
        return filled

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
    # Jinja's own alias finds it anew each time, and a list has a thousand texts.
    environment.globals["_"] = gettext


def _filled(language: Language, text: str, values: dict[str, Any]) -> Markup:
    """Return a text of a catalog with its places filled; values that are no markup are escaped."""
    # Security: catalogs are our own; only values come from strangers.
    if not values and "%" not in text:
        return Markup(text)  # noqa: S704
    return Markup(text) % {  # noqa: S704
        name: language.number(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in values.items()
    }
