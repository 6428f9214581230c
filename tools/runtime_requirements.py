"""Print the part of ``requirements.lock`` that a packaged server needs, with the hashes.

    python3 tools/runtime_requirements.py

Left out are what builds the package and the database of the lab. Standard library only.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("dns", "pdf", "tracing")
"""All but ``embedded``."""


def runtime_requirements(root: Path = ROOT) -> str:
    """Return a requirements file in the format of pip."""
    packages = tomllib.loads((root / "uv.lock").read_text("utf-8"))["package"]
    # More than one version of a package may be locked, for different Pythons.
    by_name: dict[str, list[dict[str, Any]]] = {}
    for package in packages:
        by_name.setdefault(package["name"], []).append(package)
    needed: set[tuple[str, tuple[str, ...]]] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [("zajil", EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in needed:
            continue
        needed.add((name, extras))
        for package in by_name[name]:
            links = list(package.get("dependencies", ()))
            for extra in extras:
                links += package.get("optional-dependencies", {}).get(extra, ())
            waiting += [(link["name"], tuple(link.get("extra", ()))) for link in links]
    names = {name for name, _ in needed}
    locked = re.split(r"\n(?=[A-Za-z0-9])", (root / "requirements.lock").read_text("utf-8"))
    return "".join(f"{block.rstrip()}\n" for block in locked if block.partition("==")[0] in names)


if __name__ == "__main__":
    sys.stdout.write(runtime_requirements())
