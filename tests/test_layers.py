"""The layers of the house: who may import whom, and who may do I/O."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "zajil"

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
    {"check", "route", "login", "keys"},
    {"accept"},
    {"receive", "deliver", "read", "reports"},
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
    "reports/dmarc/consent.py",
    "reports/dmarc/failure.py",
    "reports/dmarc/mail.py",
    "reports/dmarc/read_xml.py",
    "reports/dmarc/report.py",
    "reports/dmarc/write_xml.py",
    "reports/kind.py",
    "reports/packing.py",
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
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_down(path: Path) -> None:
    file = path.relative_to(SRC)
    here = file.parts[0].removesuffix(".py")
    if here in ("__main__", "__init__"):
        return
    for name in imports_of(path):
        assert name != "zajil", f"{file}: name the module, not the package"
        if name.split(".")[0] in IMPURE_MODULES:
            assert here not in PURE, f"{file} is sans-IO: {name}"
            assert str(file) not in PURE_FILES, f"{file} is sans-IO: {name}"
        if name.startswith("zajil."):
            there = name.split(".")[1]
            assert there == here or RANK[there] < RANK[here], f"{file} may not import {name}"


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_sql_is_only_in_the_store(path: Path) -> None:
    """Style C3: steps write units of work from store functions; they never see a cursor."""
    if path.relative_to(SRC).parts[0] == "store":
        return
    names = {name.split(".")[0] for name in imports_of(path)}
    assert not names & {"sqlalchemy", "psycopg", "pysqlite3", "alembic"}, path


def write_units() -> dict[str, set[str]]:
    """Return the names of the store's functions that write, by module: their argument is ``tx``."""
    found: dict[str, set[str]] = {}
    for path in sorted((SRC / "store").rglob("*.py")):
        module = ".".join(["zajil", *path.relative_to(SRC).with_suffix("").parts])
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and [a.arg for a in node.args.args[:1]] == ["tx"]:
                found.setdefault(module, set()).add(node.name)
    return found


WRITE_UNITS = write_units()


@pytest.mark.parametrize(
    "path",
    sorted([*SRC.glob("web/**/*.py"), *SRC.glob("cli/**/*.py")]),
    ids=lambda p: str(p.relative_to(SRC)),
)
def test_pages_and_commands_change_things_by_operations(path: Path) -> None:
    """They may read the store, but neither import its write units nor call its ``write``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zajil.store"):
            names = {alias.name for alias in node.names}
            assert not names & WRITE_UNITS.get(node.module or "", set()), f"line {node.lineno}"
            modules = {f"{node.module}.{name}" for name in names}
            assert not modules & set(WRITE_UNITS), f"line {node.lineno}: import names, not modules"
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("zajil.store") for alias in node.names)
        elif isinstance(node, ast.Attribute):
            assert node.attr not in ("write_now", "write_later", "write_large"), node.lineno
            of_store = ast.unparse(node.value).endswith(("store", "context", "operations"))
            assert not (node.attr in ("write", "change") and of_store), f"line {node.lineno}"


def test_the_store_has_write_units() -> None:
    assert {"create_account", "set_password"} <= WRITE_UNITS["zajil.store.people.accounts"]
    assert sum(map(len, WRITE_UNITS.values())) > 50


def test_every_package_has_a_place() -> None:
    packages = {path.name for path in SRC.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages - {"app"} <= set(RANK), "a package without a line in LAYERS"
