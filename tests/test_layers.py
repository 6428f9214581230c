"""The layers of the house: who may import whom, and who may do I/O."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from kit.sources import FILES, SRC, tree_of

# Lowest first. A package imports from lines above its own, never from its own line (the packages
# of one line do not know each other) and never from below.
LAYERS = [
    {"core"},
    {"message", "dns", "sasl", "tracking"},
    {"smtp", "imap", "pop3", "mailauth"},
    {"config"},
    {"tls"},
    {"net"},
    {"resolver"},
    {"store"},
    {"certificates", "check", "route", "login", "keys"},
    {"accept"},
    {"receive", "deliver", "read", "reports", "monitor"},
    {"submit"},
    {"operations"},
    {"web"},
    {"app"},
    {"lab"},
    {"cli"},
]
PURE = set.union(*LAYERS[:3])  # sans-IO
PURE_FILES = {
    "check/content/attachments.py",
    "check/verdict/explain.py",
    "check/learned/classifier.py",
    "check/learned/lessons.py",
    "check/learned/voices.py",
    "check/sender/correspondent.py",
    "check/content/links.py",
    "check/content/lookalike.py",
    "check/content/phishing.py",
    "check/verdict/signals.py",
    "check/content/structure.py",
    "check/learned/tokens.py",
    "check/verdict/verdict.py",
    "monitor/meters.py",
    "reports/dmarc/consent.py",
    "reports/dmarc/failure.py",
    "reports/dmarc/mail.py",
    "reports/dmarc/read_xml.py",
    "reports/dmarc/report.py",
    "reports/dmarc/write_xml.py",
    "reports/incoming.py",
    "reports/kind.py",
    "reports/packing.py",
    "reports/tls/json_format.py",
    "reports/tls/mail.py",
    "reports/tls/report.py",
    "reports/tls/sending.py",
    "route/recipient.py",
    "route/alias.py",
    "accept/outcome.py",
    "accept/plan.py",
    "deliver/schedule.py",
    "accept/outbound_hold.py",
    "accept/send_limit.py",
}
IMPURE_MODULES = {
    *("asyncio", "logging", "os", "random", "secrets"),
    *("socket", "sqlite3", "ssl", "threading", "time"),
}


RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def wrong_imports(path: Path) -> Iterator[str]:
    file = path.relative_to(SRC)
    here = file.parts[0].removesuffix(".py")
    if here in ("__main__", "__init__"):
        return
    for name in imports_of(path):
        if name == "zajil":
            yield f"{file}: name the module, not the package"
        elif name.split(".")[0] in IMPURE_MODULES and (here in PURE or str(file) in PURE_FILES):
            yield f"{file} is sans-IO: {name}"
        elif name.startswith("zajil."):
            there = name.split(".")[1]
            if there != here and RANK[there] >= RANK[here]:
                yield f"{file} may not import {name}"


def test_imports_go_down() -> None:
    assert [fault for path in FILES for fault in wrong_imports(path)] == []


def test_sql_is_only_in_the_store() -> None:
    """Style C3: steps write units of work from store functions; they never see a cursor."""
    libraries = {"sqlalchemy", "psycopg", "pysqlite3", "alembic"}
    others = [path for path in FILES if path.relative_to(SRC).parts[0] != "store"]
    assert [
        str(path)
        for path in others
        if {name.split(".")[0] for name in imports_of(path)} & libraries
    ] == []


@functools.cache
def write_units() -> dict[str, set[str]]:
    """Return the names of the store's functions that write, by module: their argument is ``tx``."""
    found: dict[str, set[str]] = {}
    for path in sorted((SRC / "store").rglob("*.py")):
        module = ".".join(["zajil", *path.relative_to(SRC).with_suffix("").parts])
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef) and [a.arg for a in node.args.args[:1]] == ["tx"]:
                found.setdefault(module, set()).add(node.name)
    return found


def wrong_changes(path: Path) -> Iterator[str]:
    """Give what imports a write unit of the store, or calls its ``write``."""
    for node in ast.walk(tree_of(path)):
        fault = ""
        if not isinstance(node, ast.stmt | ast.expr):
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zajil.store"):
            names = {alias.name for alias in node.names}
            if names & write_units().get(node.module or "", set()):
                fault = "it imports a write unit"
            elif {f"{node.module}.{name}" for name in names} & set(write_units()):
                fault = "import names, not modules"
        elif isinstance(node, ast.Import):
            if any(alias.name.startswith("zajil.store") for alias in node.names):
                fault = "import names, not modules"
        elif isinstance(node, ast.Attribute):
            of_store = ast.unparse(node.value).endswith(("store", "context", "operations"))
            if node.attr in ("write_now", "write_later", "write_large") or (
                node.attr in ("write", "change") and of_store
            ):
                fault = f"it calls {node.attr}"
        if fault:
            yield f"{path.relative_to(SRC)}:{node.lineno}: {fault}"


def test_pages_and_commands_change_things_by_operations() -> None:
    """They may read the store, but neither import its write units nor call its ``write``."""
    pages = [path for path in FILES if path.relative_to(SRC).parts[0] in ("web", "cli")]
    assert [fault for path in pages for fault in wrong_changes(path)] == []


def test_the_store_has_write_units() -> None:
    assert {"create_account", "set_password"} <= write_units()["zajil.store.people.accounts"]
    assert sum(map(len, write_units().values())) > 50


def test_every_package_has_a_place() -> None:
    packages = {path.name for path in SRC.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages - {"app"} <= set(RANK), "a package without a line in LAYERS"
