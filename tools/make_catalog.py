"""Bring the catalog of a language up to date with the texts of the pages: ``docs/translate.md``.

    tools/make_catalog.py fr                              update locale/fr
    tools/make_catalog.py de --name Deutsch               begin a new one
    tools/make_catalog.py fa --name فارسی --direction rtl
    tools/make_catalog.py fr --missing                    only list what has no translation

Texts that the catalog lacks are appended with an empty translation, entries whose text is no
longer used are removed, and all other lines stay as they are: so two people can translate at the
same time, and a diff shows what was translated.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

SRC = Path(__file__).resolve().parent.parent / "src" / "zajil"
LOCALE_FOLDER = SRC / "web" / "locale"
KEYWORDS = {
    **{"_": None, "gettext": None, "ngettext": (1, 2), "mark": None},
    "pgettext": ((1, "c"), 2),
}
_STRINGS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
_ENTRY = re.compile(rf"^(?:msgctxt {_STRINGS})?msgid {_STRINGS}", re.MULTILINE)
Key = tuple[str | None, str]
"""Context and English text (of one thing, where it is counted)."""


@cache
def find_texts() -> Mapping[Key, tuple[str, ...]]:
    """Return every text of templates, pages and sentences of a journey, in the order of the files.

    The values are the forms in English: the text, or those of one and of many things.
    """
    found = extract_from_dir(
        SRC,
        [("web/templates/**.html", "jinja2"), ("**.py", "python")],
        {"**.html": {"newstyle_gettext": "true"}},
        keywords=KEYWORDS,
    )
    texts: dict[Key, tuple[str, ...]] = {}
    for _, _, message, _, context in found:
        forms = (message,) if isinstance(message, str) else tuple(message)
        if len(forms) > len(texts.get((context, forms[0]), ())):
            texts[context, forms[0]] = forms
    return texts


def read_catalog(code: str) -> Catalog:
    """Return the catalog of a language."""
    with _path(code).open("rb") as file:
        return read_po(file, locale=code.replace("-", "_"))


def keys_of(catalog: Catalog) -> Mapping[Key, bool]:
    """Return the texts of a catalog, and whether all forms of each have a translation."""
    keys: dict[Key, bool] = {}
    for message in catalog:
        if message.id:
            first = message.id if isinstance(message.id, str) else message.id[0]
            forms = message.string if isinstance(message.string, tuple | list) else [message.string]
            keys[message.context, first] = all(forms) and not message.fuzzy
    return keys


def updated(text: str, unused: set[Key], missing: Mapping[Key, tuple[str, ...]], forms: int) -> str:
    """Return a catalog without unused entries and repetitions, the missing ones at its end."""
    kept, seen = [], set()
    for block in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        keys = keys_of_text(block)
        if keys and all(key in unused or key in seen for key in keys):
            continue
        seen.update(keys)
        kept.append(block)
    added = [_entry(context, texts, forms) for (context, _), texts in missing.items()]
    return "\n\n".join([*kept, *added]) + "\n"


def keys_of_text(text: str) -> list[Key]:
    """Return the keys of all entries of a part of a catalog, repeated ones too."""
    keys = [
        (_unquoted(context) if context else None, _unquoted(text))
        for context, text in _ENTRY.findall(text)
    ]
    return [key for key in keys if key[1]]


def _unquoted(lines: str) -> str:
    inside = "".join(line.strip()[1:-1] for line in lines.strip().splitlines())
    return inside.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def _entry(context: str | None, texts: tuple[str, ...], forms: int) -> str:
    lines = [f"msgctxt {_quoted(context)}"] if context else []
    lines.append(f"msgid {_quoted(texts[0])}")
    if len(texts) == 1:
        return "\n".join([*lines, 'msgstr ""'])
    plural = [f'msgstr[{number}] ""' for number in range(forms)]
    return "\n".join([*lines, f"msgid_plural {_quoted(texts[1])}", *plural])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _path(code: str) -> Path:
    return LOCALE_FOLDER / code.replace("-", "_") / "LC_MESSAGES" / "messages.po"


def _first_lines(code: str, name: str, direction: str) -> str:
    """Return the header of a new catalog; the plural forms are those that Babel knows."""
    catalog = Catalog(locale=Locale.parse(code, sep="-"))
    return (
        'msgid ""\nmsgstr ""\n'
        f'"Project-Id-Version: Zajil\\n"\n"Language: {code}\\n"\n'
        f'"Plural-Forms: {catalog.plural_forms}\\n"\n'
        '"MIME-Version: 1.0\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"X-Name: {name}\\n"\n"X-Direction: {direction}\\n"\n'
    )


def main() -> int:
    """Update, begin or check one catalog."""
    parser = argparse.ArgumentParser(description="Update the catalog of a language.")
    parser.add_argument("code", help="BCP 47 tag of the language: fr, pt-BR")
    parser.add_argument("--name", help="name of a new language, in that language")
    parser.add_argument("--direction", choices=("ltr", "rtl"), default="ltr")
    parser.add_argument("--missing", action="store_true", help="list texts without a translation")
    options = parser.parse_args()
    path = _path(options.code)
    if not path.exists():
        if not options.name:
            parser.error(f"there is no catalog {options.code}; give --name to begin one")
        path.parent.mkdir(parents=True)
        path.write_text(
            _first_lines(options.code, options.name, options.direction), encoding="utf-8"
        )
    catalog, texts = read_catalog(options.code), find_texts()
    known = keys_of(catalog)
    if options.missing:
        absent = [text for (context, text) in texts if not known.get((context, text))]
        print("\n".join(absent))
        return 1 if absent else 0
    unused = {key for key in known if key not in texts}
    missing = {key: forms for key, forms in texts.items() if key not in known}
    before = path.read_text(encoding="utf-8")
    path.write_text(updated(before, unused, missing, catalog.num_plurals), encoding="utf-8")
    print(f"{len(texts)} texts: {len(missing)} added, {len(unused)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
