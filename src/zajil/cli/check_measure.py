"""``zajil check measure`` and ``zajil check train``: the classifier on an operator's own mail."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import opened_store
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.check.learned.measure import Measured

_WHERE = "A file of one message, an mbox, a Maildir, or a folder of .eml files."


def measure(
    ham: Annotated[Path, typer.Option(help=f"Wanted mail. {_WHERE}")],
    junk: Annotated[Path, typer.Option(help=f"Junk. {_WHERE}")],
    folds: Annotated[int, typer.Option(min=2, max=50, help="Parts of the cross-validation.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Say how well your own mail is told from your own junk.

    By words: the mail is dealt into parts; each part is judged by what was learned from the others.
    By signs: what a message itself gives away to an installation that learned nothing. Who sent it
    is not measured. Nothing is kept. Precision: how much of what was called junk is junk. Recall:
    how much of the junk was found. Wanted mail that was called junk is named, with the reason.

    Exit status: 0 measured, 2 wrong usage.
    """
    from zajil.check.learned.measure import cross_validate

    found = cross_validate(_sample(ham, "--ham"), _sample(junk, "--junk"), folds)
    if as_json:
        print_json(found.to_dict())
        return
    _print_measured(found)


def _print_measured(found: Measured) -> None:
    words = found.words
    print(f"wanted mail {words.ham}, junk {words.junk}")
    for name, one in (("words", words), ("signs", found.signs), ("together", found.together)):
        print(
            f"{name:8}  precision {one.precision:.3f}, recall {one.recall:.3f}, "
            f"wanted mail called junk {len(one.false_positives)}"
        )
    print(f"undecided by words: wanted mail {found.ham_undecided}, junk {found.junk_undecided}")
    for name, one in (("words", words), ("signs", found.signs)):
        for mistake in one.false_positives:
            print(f"  {printable(mistake.name)}: {name}, {printable(', '.join(mistake.because))}")


def train(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help=_WHERE)],
    junk: Annotated[bool, typer.Option("--junk/--ham", help="What the mail is.")],
    account: Annotated[
        str | None, typer.Option(help="Login or address; without: the whole installation.")
    ] = None,
) -> None:
    """Teach the classifier mail that you call junk or wanted; a mail teaches once.

    Exit status: 0 learned, 1 the account is unknown, 2 wrong usage.
    """
    from zajil.operations.train import train_mail

    kind = "junk" if junk else "wanted"
    with opened_store(context) as store:
        learned = total = 0
        for file in files:
            for _, message in _messages(file):
                total += 1
                learned += train_mail(store, message, is_junk=junk, account=account)
    print(f"learned {learned} of {total} mails as {kind}")


def _sample(place: Path, option: str) -> list[tuple[str, bytes]]:
    found = list(_messages(place))
    if len(found) < 2:
        raise WrongUsage(f"{option} {place}: there are fewer than two messages")
    return found


def _messages(place: Path) -> Iterator[tuple[str, bytes]]:
    """Give name and bytes of each message, with CRLF."""
    try:
        if (place / "cur").is_dir():
            files = [path for sub in ("cur", "new") for path in sorted((place / sub).glob("*"))]
            yield from ((path.name, _crlf(path.read_bytes())) for path in files)
        elif place.is_dir():
            yield from ((p.name, _crlf(p.read_bytes())) for p in sorted(place.rglob("*.eml")))
        elif _is_mbox(place):
            with closing(mailbox.mbox(place, create=False)) as box:
                for key in box.iterkeys():
                    yield f"{place.name}:{key}", _crlf(box.get_bytes(key))
        else:
            yield place.name, _crlf(place.read_bytes())
    except OSError as error:
        raise WrongUsage(f"{place}: {error.strerror}") from None


def _is_mbox(place: Path) -> bool:
    with place.open("rb") as file:
        return file.read(5) == b"From "


def _crlf(message: bytes) -> bytes:
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
