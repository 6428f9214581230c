"""``zajil store``: the database and the files of the server."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable, progress_bar, spell_count, spell_size
from zajil.cli.store_copy import copy
from zajil.cli.upgrade import run
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.operations.store import CheckReport

store_app = typer.Typer(
    name="store", help="The database and the files of the server.", no_args_is_help=True
)


@store_app.command("create")
def create(context: typer.Context, as_json: AsJson = False) -> None:
    """Create an empty store as configured. An existing store is not changed.

    Only this command and `zajil setup` create a store.

    Exit status: 0 done, 1 a store exists, or it cannot be created, 2 wrong usage.
    """
    from zajil.operations.store import make_store

    configuration = read_configuration(context)
    make_store(configuration)
    if as_json:
        print_json({"data_dir": str(configuration.server.data_dir)})
    else:
        print(
            "created an empty store; go on with `zajil domain add` and `zajil account add --admin`"
        )


store_app.command("upgrade", hidden=True)(run)
store_app.command("copy")(copy)


@store_app.command("check")
def check(
    context: typer.Context,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Repair what can be repaired without loss: wrong counts and sizes, orphans, "
            "summaries, the index of words.",
        ),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not read the bytes of the messages.")
    ] = False,
    contents: Annotated[
        bool,
        typer.Option(
            "--contents",
            help="Read the bytes of messages in S3 too. Otherwise only their names and sizes are "
            "compared.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the store: damaged or missing content, wrong counts, orphans, summaries, the index.

    It reads the whole database and each message, and compares the bytes with the digest that was
    stored with them; a message that an older version stored has none until the server has computed
    it. The server may be running; it checks itself too, each night a seventh of the messages. With
    --repair, repaired damage is listed first.

    Exit status: 0 no damage, 1 damage was found, or the store cannot be read, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.store import StoreCheckOptions, check_store, describe_store

    configuration = read_configuration(context)
    with opened_store(context) as store:
        facts = describe_store(store, configuration)
        options = StoreCheckOptions(repairs=repair, is_quick=quick, reads_objects=contents)
        stage = partial(progress_bar, quiet=as_json)
        report = check_store(store, configuration, SystemClock(), options, stage)
    if as_json:
        print_json({**facts, **_report_to_dict(report)})
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' '):<16}{value}")
        _print_report(report)
    raise typer.Exit(NOT_DONE if report.left else 0)


def _report_to_dict(report: CheckReport) -> dict[str, object]:
    return {
        "ok": not report.left,
        "messages_read": report.messages,
        "only_sizes": report.only_sizes,
        "without_digest": report.undigested,
        "unused_objects": report.unused_objects,
        "findings": [asdict(one) for one in report.left],
        "repaired": [asdict(one) for one in report.repaired],
    }


def _print_report(report: CheckReport) -> None:
    for one in report.repaired:
        print(printable(f"repaired: {one.what}: {one.reason}"))
    for one in report.left:
        print(printable(f"{one.what}: {one.reason} ({one.kind}); {one.advice}"))
    print(_what_was_read(report))
    if report.unused_objects:
        count = spell_count(report.unused_objects, "object")
        print(f"{count} of deleted messages, which the server will delete")
    print(_verdict({one.kind for one in report.left}))


def _what_was_read(report: CheckReport) -> str:
    if report.messages is None:
        return "the messages were not read"
    text = f"read {spell_count(report.messages, 'message')}"
    if report.only_sizes:
        text += (
            f"; of {report.only_sizes} in S3 only names and sizes were compared "
            "(--contents reads them)"
        )
    if report.undigested:
        text += f"; {report.undigested} have no digest yet to compare them with"
    return text


def _verdict(kinds: set[str]) -> str:
    if not kinds:
        return "the store is not damaged"
    if kinds == {"unreachable"}:
        return "no damage was found, but the messages in S3 were not checked"
    return (
        "nothing is damaged, but space is short"
        if kinds == {"no-space"}
        else "the store is damaged"
    )


@store_app.command("move-blobs")
def move_blobs(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="s3|files", help="Where to. Default: where store.blobs says."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Move large messages from files to S3 or back, while the server is running.

    Start the server with the new configuration first. Each message is copied and compared with its
    digest before the copy is used; the old one is deleted ten minutes later. Messages that are
    there already are encrypted again if the key in store.key_file has changed. Messages in the
    database stay there. Interrupted, the command can be run again: it moves what is left.

    Exit status: 0 done, 1 some messages were not moved, 2 wrong usage.
    """
    from zajil.operations.blob_moves import move_large_messages

    if to not in (None, "s3", "files"):
        raise WrongUsage("--to takes 's3' or 'files'")
    configuration = read_configuration(context)
    with (
        opened_store(context) as store,
        progress_bar("moving the messages", quiet=as_json) as progress,
    ):
        done = move_large_messages(store, configuration, to, progress)
    if as_json:
        print_json(asdict(done))
    else:
        print(f"moved {spell_count(done.blobs, 'message')}, {spell_size(done.bytes)}")
        if done.gone:
            print(f"{spell_count(done.gone, 'message')} were deleted meanwhile")
        for sentence in done.failed:
            print(printable(f"not moved: {sentence}"))
        if done.older:
            print(
                "keep the old keys in store.key_file: these nodes may still encrypt with them; "
                f"start them again, then run this command again: {printable(', '.join(done.older))}"
            )
    raise typer.Exit(NOT_DONE if done.failed else 0)


@store_app.command("new-key")
def new_key(context: typer.Context) -> None:
    """Create the file of store.key_file, or put a new key into it.

    The server encrypts new messages with the new key after it was started again; older keys stay
    in the file, because older messages are still encrypted with them. Before you start one of
    several nodes again, copy the file to all of them.

    Exit status: 0 done, 1 the file cannot be written, 2 wrong usage.
    """
    from zajil.operations.store_key import add_store_key

    configuration = read_configuration(context)
    path = configuration.store.key_file
    if path is None:
        raise WrongUsage("store.key_file is not set in the configuration")
    keys = add_store_key(path, configuration.server.user)
    print(printable(f"new messages will be encrypted with key {keys.current} in {path}"))
    print(
        "Keep a copy of the file in another place than the server and the backups: without its "
        "keys, encrypted messages cannot be read."
    )


@store_app.command("reindex")
def reindex(context: typer.Context, as_json: AsJson = False) -> None:
    """Rebuild the summaries of all messages and the index that searches use.

    The server writes both by itself. Run this command after a message with missing content was
    restored, or if the release notes say so. The server may be running.

    Exit status: 0 done, 1 the store cannot be read or written, 2 wrong usage.
    """
    from zajil.operations.store import reindex_store

    with (
        opened_store(context) as store,
        progress_bar("indexing the messages", quiet=as_json) as progress,
    ):
        count = reindex_store(store, progress)
    if as_json:
        print_json({"messages": count})
    else:
        print(f"indexed {spell_count(count, 'message')}")


@store_app.command("sweep")
def sweep(context: typer.Context, as_json: AsJson = False) -> None:
    """Remove files of large messages that were left behind by crashes.

    If messages are in S3, objects that no message names and that are older than a day are found
    too; the server deletes them some minutes later.

    Exit status: 0 done, 1 S3 cannot be used, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.store import sweep_store

    with opened_store(context) as store:
        files, objects = sweep_store(store, SystemClock())
    if as_json:
        print_json({"removed": files} | ({} if objects is None else {"objects": objects}))
        return
    print(f"removed {files} files")
    if objects is not None:
        print(f"found {spell_count(objects, 'object')} that the server will delete")
