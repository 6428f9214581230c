"""Check the installation itself: Python, libraries, files, and what the server needs of the system.

Nothing is changed, and no server is needed. Each check does the real thing: it imports, compiles,
forks, or makes a database in a temporary folder.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import os
import re
import signal
import ssl
import sys
import tempfile
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from zajil.core.errors import InternalError
from zajil.store.engine.migrate import try_tables
from zajil.web.language import load_languages

State = Literal["ok", "warning", "problem"]
OLDEST_PYTHON = (3, 11)
TESTED_VERSIONS = Path("share") / "zajil" / "tested-versions.txt"
"""Below the prefix: ``NAME==VERSION`` on each line; a name has two lines where it depends on the
Python which version is installed."""
_ZONES = ("Europe/Berlin", "Asia/Riyadh", "Africa/Cairo")
_CHILD_SECONDS = 30


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The result of one check."""

    name: str
    """One word: ``python``, ``libraries`` ..."""
    state: State
    text: str
    """One sentence, or a version."""


class _Failed(InternalError):
    """A check did not succeed; the text is for the operator."""


def check_installation() -> Iterator[SelfCheck]:
    """Run all checks that need no configuration, one after the other."""
    yield _tried("python", _python)
    yield _tried("files", _files)
    yield _tried("libraries", _libraries)
    yield _versions()
    yield _tried("database", _database)
    yield _tried("tls", _tls)
    yield _tried("languages", _languages)
    yield _tried("time zones", _time_zones)
    yield _tried("processes", _processes)


def _tried(name: str, check: Callable[[], str]) -> SelfCheck:
    try:
        return SelfCheck(name, "ok", check())
    except _Failed as error:
        return SelfCheck(name, "problem", str(error))
    except Exception as error:  # a broken installation fails in any way
        return SelfCheck(name, "problem", f"{type(error).__name__}: {error}")


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        raise _Failed(f"Python {version} is too old: 3.11 or later is needed")
    return f"Python {version} in {sys.prefix}"


def _files() -> str:
    """Compare the files of the program with the list that was installed with them."""
    ours = metadata.distribution("zajil")
    listed = [one for one in ours.files or () if one.parts[0] == "zajil" and one.hash]
    wrong = []
    for one in listed:
        path = Path(str(one.locate()))
        if not path.is_file():
            wrong.append(f"{path} is missing")
        elif one.hash is not None and _sha256(path) != one.hash.value:
            wrong.append(f"{path} was changed")
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise _Failed(f"{wrong[0]}{more}: install Zajil again")
    if not listed:
        return f"Zajil {ours.version}, a checkout of the source"
    return f"Zajil {ours.version}, {len(listed)} files are as they were installed"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _libraries() -> str:
    """Import every library that Zajil requires; one whose binary does not fit fails here."""
    modules: dict[str, list[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(_normalized(distribution), []).append(module)
    imported = 0
    for name in _required():
        if name not in modules:
            raise _Failed(f"the library {name} is not installed")
        for module in modules[name]:
            if module.startswith("_") or not module.isidentifier():
                continue
            try:
                importlib.import_module(module)
            except Exception as error:
                raise _Failed(f"the library {name} cannot be loaded: {error}") from error
            imported += 1
    return f"{imported} libraries can be loaded"


def _required() -> Iterator[str]:
    """Return the names of the libraries that are not optional."""
    for requirement in metadata.requires("zajil") or ():
        name, _, condition = requirement.partition(";")
        if "extra" not in condition and (found := re.match(r"[\w.-]+", name)):
            yield _normalized(found[0])


def _versions() -> SelfCheck:
    """Compare the versions of all libraries with those that Zajil was tested with."""
    tested: dict[str, set[str]] = {}
    try:
        for line in (Path(sys.prefix) / TESTED_VERSIONS).read_text("utf-8").split():
            name, _, version = line.partition("==")
            tested.setdefault(_normalized(name), set()).add(version)
    except OSError:
        return SelfCheck("versions", "ok", "not compared: a checkout of the source")
    others = []
    compared = 0
    for one in metadata.distributions():
        name = _normalized(one.metadata["Name"])
        compared += name in tested
        if name in tested and one.version not in tested[name]:
            expected = " or ".join(sorted(tested[name]))
            others.append(f"{name} {one.version} (tested: {expected})")
    if others:
        text = "other versions than those that Zajil was tested with: " + ", ".join(sorted(others))
        return SelfCheck("versions", "warning", text)
    return SelfCheck("versions", "ok", f"{compared} libraries have the tested version")


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _database() -> str:
    """Make all tables in a new database."""
    with tempfile.TemporaryDirectory(prefix="zajil-self-check-") as folder:
        version = try_tables(Path(folder))
    return f"SQLite {version}; all tables can be made"


def _tls() -> str:
    if not ssl.HAS_TLSv1_3:
        raise _Failed(f"{ssl.OPENSSL_VERSION} does not support TLS 1.3")
    roots = len(ssl.create_default_context().get_ca_certs())
    folder = ssl.get_default_verify_paths().capath
    if not roots and not (folder and any(Path(folder).glob("*.0"))):
        raise _Failed("this system has no root certificates: install ca-certificates")
    return ssl.OPENSSL_VERSION


def _languages() -> str:
    return f"pages in {', '.join(load_languages())}"


def _time_zones() -> str:
    for name in _ZONES:
        try:
            zoneinfo.ZoneInfo(name)
        except zoneinfo.ZoneInfoNotFoundError:
            raise _Failed(f"no data of the time zone {name}: install tzdata") from None
    return "time zone data is there"


def _processes() -> str:
    """Fork as the server does, and run the event loop of a worker in the child."""
    try:
        loop = importlib.import_module("uvloop").new_event_loop
        name = "uvloop"
    except ImportError:
        loop, name = asyncio.new_event_loop, "asyncio"
    pid = os.fork()
    if not pid:
        status = 1
        try:
            signal.alarm(_CHILD_SECONDS)  # a child that hangs ends by it
            with asyncio.Runner(loop_factory=loop) as runner:
                runner.run(asyncio.sleep(0))
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        raise _Failed(f"a worker process with the event loop of {name} ended with {status}")
    return f"worker processes run with {name}"
