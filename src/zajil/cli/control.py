"""``zajil reload`` and ``zajil status``: the server that runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from zajil.cli.configured import configuration_file, opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, printable, spell_age, spell_time
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.operations.store import LastCheck


def reload(context: typer.Context, as_json: AsJson = False) -> None:
    """Have the running server read its configuration anew, and wait until it is in use.

    No connection is refused or cut. Prints what took effect, and what takes effect at the next
    start; if the configuration cannot be used, the server goes on with the old one.

    Exit status: 0 done, 1 not done or no server runs, 2 an option is wrong.
    """
    from zajil.net.control import ask_server

    outcome = ask_server(_data_dir(context), {"do": "reload"})
    if as_json:
        print_json(outcome)
    else:
        _print_outcome(outcome, configuration_file(context))
    raise typer.Exit(0 if outcome.get("ok") else NOT_DONE)


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the running server: its start, workers and sessions, and the last check of the store.

    Exit status: 0 it runs, 1 no server runs, 2 an option is wrong.
    """
    from zajil.net.control import ask_server
    from zajil.net.system import SystemClock

    found = ask_server(_data_dir(context), {"do": "status"})
    check = _last_check(context)
    if as_json:
        print_json({**found, "store_check": asdict(check) if check else None})
    else:
        now_ms = SystemClock().now_ms()
        _print_status(found, now_ms)
        _print_check(check)
        _print_backup(context, now_ms)


def _last_check(context: typer.Context) -> LastCheck | None:
    """Return what is known of the store; ``None`` also if it cannot be read now."""
    from zajil.operations.run import WrongUser
    from zajil.operations.store import last_check
    from zajil.store.engine.errors import StoreUnavailable

    with suppress(StoreUnavailable, WrongUser), opened_store(context) as store:
        return last_check(store)
    return None


def _print_check(check: LastCheck | None) -> None:
    if check is None:
        print("Store check    not yet")
        return
    found = f"{check.faults} faults; see `zajil store check`" if check.faults else "no damage"
    since = "not all messages were read yet"
    if check.read_since_ms is not None:
        since = f"all messages were read since {spell_time(check.read_since_ms)}"
    print(f"Store check    {spell_time(check.at_ms)}: {found}; {since}")


def _print_backup(context: typer.Context, now_ms: int) -> None:
    """Print what became of the last backups; nothing where the store cannot be read by us."""
    from zajil.core.errors import ZajilError
    from zajil.operations.backup import last_backup

    configuration = read_configuration(context)
    if configuration.backup.target is None:
        print("Last backup    none: backup.target is not set")
        return
    try:
        run = last_backup(configuration)
    except ZajilError:
        return
    if run is None or run.done_ms is None:
        print(f"Last backup    none{': ' + printable(run.error) if run else ''}")
        return
    print(f"Last backup    {spell_time(run.done_ms)} ({spell_age(now_ms - run.done_ms)})")
    if run.left_out:
        print(f"               {run.left_out} files or messages are missing in it")
    if run.error:
        print(f"               the last attempt failed: {printable(run.error)}")


def _data_dir(context: typer.Context) -> Path:
    return read_configuration(context).server.data_dir


def _print_outcome(outcome: dict[str, Any], file: Path) -> None:
    for reason in outcome["warnings"]:
        typer.echo(f"zajil: warning: {file}: {printable(reason)}", err=True)
    if outcome["restart"]:
        options = ", ".join(outcome["restart"])
        typer.echo(f"zajil: these options take effect at the next start: {options}", err=True)
    if outcome["error"]:
        reason = printable(outcome["error"])
        typer.echo(f"zajil: the old configuration stays in use: {reason}", err=True)
    changed = ", ".join(outcome["changed"])
    if changed:
        print(f"reloaded: {changed}")
    elif outcome["ok"]:
        print("nothing has changed")


def _print_status(found: dict[str, Any], now_ms: int) -> None:
    from importlib.metadata import version

    workers = found["workers"]
    pids = ", ".join(str(one["pid"]) for one in workers if one["generation"] == found["generation"])
    old = sum(one["generation"] != found["generation"] for one in workers)
    sessions = ", ".join(f"{name} {count}" for name, count in found["sessions"].items())
    since, age = spell_time(found["since_ms"]), spell_age(now_ms - found["since_ms"])
    print(f"Version        {found['version']}, process {found['pid']}")
    if found["version"] != version("zajil"):
        print(f"               this program is {version('zajil')}: restart the server to use it")
    print(f"Since          {since} ({age})")
    print(f"Configuration  {printable(found['configuration'])}")
    generation = f" (generation {found['generation']})"
    print(f"Workers        {pids}{generation}" + (f"; {old} with old options" if old else ""))
    print(f"Sessions       {sessions}")
    if found["restart"]:
        print(f"Next start     {', '.join(found['restart'])} will take effect")
