"""What a notification of new mail says, in the language of the browser."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.web.language import OWN_LANGUAGE, Language, load_languages

_ISOLATE, _POP = "\u2068", "\u2069"


@dataclass(frozen=True, slots=True)
class CatalogTexts:
    """Texts of one language."""

    language: Language

    def one(self, name: str) -> str:
        """Return the title of one message; ``""``: nobody is named as its sender."""
        if not name:
            return self.language.gettext("New message")
        # Bidi: the name of a stranger must not turn the words around it.
        values = {"name": f"{_ISOLATE}{name}{_POP}"}
        return self.language.gettext("New message from %(name)s") % values

    def many(self, number: int, *, more: bool) -> str:
        """Return the title of messages that are only counted; ``more``: of so many or more."""
        text = self.language.ngettext("%(num)s new message", "%(num)s new messages", number)
        return text % {"num": f"{number}+" if more else str(number)}

    def no_subject(self) -> str:
        """Return what stands for an empty subject."""
        return self.language.gettext("No subject")


def push_texts(code: str) -> CatalogTexts:
    """Return the texts of a language; those of ``OWN_LANGUAGE`` for one that is not there."""
    languages = load_languages()
    return CatalogTexts(languages.get(code) or languages[OWN_LANGUAGE])
