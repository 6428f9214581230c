"""Make the two fonts of the pages, ``src/zajil/web/static/noto-sans-*.woff2``.

Run in a virtual environment that has the packages ``fonttools`` and ``brotli``. The fonts are Noto
Sans and Noto Sans Arabic (SIL Open Font License 1.1) with their axis of weight, as the npm packages
``@fontsource-variable/noto-sans`` and ``@fontsource-variable/noto-sans-arabic`` have them; their
unpacked folders are the arguments.

    python tools/make_fonts.py noto-sans/package noto-sans-arabic/package
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

_STATIC = Path(__file__).parent.parent / "src" / "zajil" / "web" / "static"
_PUNCTUATION = {*range(0x2000, 0x2070), 0x20AC, 0x2122, 0x2190, 0x2192, 0x2212}
_LATIN = {*range(0x20, 0x7F), *range(0xA0, 0x180), 0x2C6, 0x2DA, 0x2DC, *_PUNCTUATION}
_ARABIC = {*range(0x600, 0x700), *range(0x200C, 0x2010), *range(0x2066, 0x206A), 0x20}


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("latin", type=Path)
    parser.add_argument("arabic", type=Path)
    given = parser.parse_args()
    _make(given.latin / "files" / "noto-sans-latin-wght-normal.woff2", _LATIN, "noto-sans-latin")
    arabic = given.arabic / "files" / "noto-sans-arabic-arabic-wght-normal.woff2"
    _make(arabic, _ARABIC, "noto-sans-arabic")


def _make(source: Path, characters: set[int], name: str) -> None:
    font = TTFont(source)
    options = Options()
    options.layout_features = ["*"]
    options.hinting = False
    options.flavor = "woff2"
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    font.flavor = "woff2"
    font.save(_STATIC / f"{name}.woff2")


if __name__ == "__main__":
    main()
