"""``zajil account add --from-csv`` and ``zajil import passwd-file``: many accounts at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from zajil.cli.configured import open_operations
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable, progress_bar
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.core.address import Address
    from zajil.operations.account_lists import ListOutcome, ReadList

DryRun = Annotated[bool, typer.Option("--dry-run", help="Check every line and change nothing.")]
_LARGEST = 256 * 1024 * 1024
"""Bytes of a list: some millions of lines."""


def passwd_file(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(help="passwd-file of Dovecot, or a shadow file; - reads standard input."),
    ],
    domain: Annotated[str | None, typer.Option(help="Domain of users whose name has none.")] = None,
    scheme: Annotated[
        str, typer.Option(help="Scheme of hashes that name none, as in doveadm pw -l.")
    ] = "CRYPT",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Create accounts from a passwd-file, with the passwords they have.

    The password hashes are kept. At the first log-in with the right password, a hash is replaced by
    one of Zajil (argon2id). Names, and quotas in the extra fields, are taken over. A line that
    cannot be used is listed with its number. Accounts that exist are left as they are, so that the
    command can be run again.

    Exit status: 0 done, 1 some lines were left out, 2 wrong usage.
    """
    from zajil.operations.passwd_file import read_passwd_file

    listed = read_passwd_file(read_list(file), domain, scheme.upper())
    add_list(context, listed, None, dry_run, as_json)


def read_list(file: Path) -> str:
    """Return the text of a list of accounts.

    Raises:
        WrongUsage: it cannot be read, is not UTF-8, or is too large.
    """
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(_LARGEST + 1)
    except OSError as error:
        raise WrongUsage(f"cannot read {file}: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise WrongUsage(f"{file} is larger than 256 MiB: divide it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise WrongUsage(f"{file}, line {line}: it is not UTF-8; convert it first") from None


def add_csv(
    context: typer.Context, file: Path, passwords_to: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Create the accounts of a CSV file, and say what became of each line.

    Raises:
        WrongUsage: the file cannot be read, or nowhere is said where new passwords go.
    """
    from zajil.operations.account_csv import read_account_csv

    listed = read_account_csv(read_list(file))
    without = sum(one.password is None for one in listed.accounts)
    if without and passwords_to is None and not dry_run:
        raise WrongUsage(
            f"accounts without a password in the file: {without}; "
            "say where to write generated ones with --passwords-to FILE"
        )
    add_list(context, listed, passwords_to, dry_run, as_json)


def add_list(
    context: typer.Context,
    listed: ReadList,
    passwords_to: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Create the accounts of a list, and say what became of each line.

    Raises:
        WrongUsage: the file for passwords exists or cannot be made.
        typer.Exit: with status 1: some lines were left out.
    """
    from zajil.operations.account_lists import add_listed_accounts

    with ExitStack() as stack:
        keep = _nowhere
        if passwords_to is not None and not dry_run:
            out = stack.enter_context(_private_file(passwords_to))
            keep = partial(_keep, out)
        operations = stack.enter_context(open_operations(context))
        progress = stack.enter_context(progress_bar("creating accounts", quiet=as_json))
        outcome = operations.run(
            add_listed_accounts, listed, dry_run=dry_run, keep_passwords=keep, progress=progress
        )
    _print_outcome(outcome, dry_run, as_json)
    if outcome.refused:
        raise typer.Exit(NOT_DONE)


@contextmanager
def _private_file(file: Path) -> Iterator[TextIO]:
    """Create the file for generated passwords; at the end remove it if there was none."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise WrongUsage(
            f"{file} exists, and may contain passwords that nobody has yet: name a new file"
        ) from None
    except OSError as error:
        raise WrongUsage(f"cannot create {file}: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        try:
            yield out
        finally:
            if not out.tell():
                file.unlink()


def _nowhere(_made: Sequence[tuple[Address, str]]) -> None:
    """Passwords are the file's own."""


def _keep(out: TextIO, made: Sequence[tuple[Address, str]]) -> None:
    if made and not out.tell():
        out.write("address,password\n")
    for address, password in made:
        out.write(f'"{address.unicode.replace(chr(34), chr(34) * 2)}",{password}\n')
    out.flush()
    os.fsync(out.fileno())


def _print_outcome(outcome: ListOutcome, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "added": [
                    {"line": one.line, "address": one.address.unicode, "login": one.login}
                    for one in outcome.added
                ],
                "unchanged": [one.address.unicode for one in outcome.unchanged],
                "refused": [
                    {"line": one.line, "who": one.who, "reason": one.reason}
                    for one in outcome.refused
                ],
            }
        )
        return
    for one in outcome.refused:
        print(f"line {one.line}: {printable(one.who) or '-'}: {printable(one.reason)}")
    verb = "would be added" if dry_run else "added"
    print(
        f"accounts {verb}: {len(outcome.added)}; there before: {len(outcome.unchanged)}; "
        f"lines left out: {len(outcome.refused)}"
    )
