"""``zajil self-check``: check the installation itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import configuration_file, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.app.self_check import SelfCheck


def self_check(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print warnings and problems only.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the installation: Python, libraries, files, database, TLS, languages, processes.

    If there is a configuration file, it is checked too, as by `zajil config check`. Run it after
    an installation or an upgrade, as root or as the user of the server.

    Exit status: 0 all is right (there may be warnings), 1 there is a problem.
    """
    from zajil.app.self_check import check_installation

    results = []
    for one in (*check_installation(), *_configuration(context)):
        results.append(one)
        if not as_json and not (quiet and one.state == "ok"):
            print(f"{one.state:<8} {one.name:<14} {one.text}")
    is_right = all(one.state != "problem" for one in results)
    if as_json:
        checks = [{"name": one.name, "state": one.state, "text": one.text} for one in results]
        print_json({"ok": is_right, "checks": checks})
    raise typer.Exit(0 if is_right else NOT_DONE)


def _configuration(context: typer.Context) -> Iterator[SelfCheck]:
    from zajil.app.self_check import SelfCheck
    from zajil.config.load import BadConfiguration
    from zajil.net.system import SystemClock
    from zajil.operations.configuration import find_mistakes

    name = "configuration"
    try:
        file = configuration_file(context)
        configuration = read_configuration(context)
    except WrongUsage:
        yield SelfCheck(name, "ok", "none yet: `zajil setup` writes it")
        return
    except BadConfiguration as error:
        yield SelfCheck(name, "problem", str(error))
        return
    found = find_mistakes(configuration, file, SystemClock().now_ms())
    for one in found:
        yield SelfCheck(name, "warning" if one.is_warning else "problem", str(one))
    if not found:
        yield SelfCheck(name, "ok", f"{file} is right")
