"""``zajil check measure`` and ``zajil check train``: the classifier and an operator's own mail."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import open_operations
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.check.learned.measure import Measured

_WHERE = "A file of one message, an mbox, a Maildir, or a folder of .eml files."


def measure(
    ham: Annotated[Path, typer.Option(help=f"Wanted mail. {_WHERE}")],
    junk: Annotated[Path, typer.Option(help=f"Junk. {_WHERE}")],
    folds: Annotated[
        int, typer.Option(min=2, max=50, help="Number of parts for cross-validation.")
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure how well the checks separate your own wanted mail from your own junk.

    Words: cross-validation of the classifier; each part is judged by what the others taught. Signs:
    the content checks, without anything learned. The sender is not checked, and nothing is stored.
    Precision is the share of real junk in what was called junk; recall is the share of the junk
    that was found. Wanted mail that was called junk is listed with the reason.

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
    junk: Annotated[bool, typer.Option("--junk/--ham", help="Whether the mail is junk.")],
    account: Annotated[
        str | None, typer.Option(help="Login name or address. Default: train for all accounts.")
    ] = None,
) -> None:
    """Train the classifier with junk or wanted mail. Each mail counts once.

    Exit status: 0 done, 1 no such account, 2 wrong usage.
    """
    from zajil.operations.train import train_mail

    kind = "junk" if junk else "wanted"
    with open_operations(context) as operations:
        learned = total = 0
        for file in files:
            for _, message in _messages(file):
                total += 1
                learned += operations.run(train_mail, message, is_junk=junk, account=account)
    print(f"learned {learned} of {total} mails as {kind}")


def _sample(place: Path, option: str) -> list[tuple[str, bytes]]:
    found = list(_messages(place))
    if len(found) < 2:
        raise WrongUsage(f"{option} {place}: there are fewer than two messages")
    return found


def _messages(place: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each message, with CRLF line ends."""
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
