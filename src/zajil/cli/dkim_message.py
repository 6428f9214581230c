"""``zajil dkim verify|sign``: DKIM signatures of a message in a file, without a server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.asking import TIMEOUT_SECONDS, NameserverOption, TimeoutOption, ask
from zajil.cli.errors import WrongUsage
from zajil.cli.message_file import MessageFile, read_message
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.mailauth.dkim_sign import SigningKey
    from zajil.mailauth.dkim_verify import DkimFound

_MAX_KEY = 65_536
"""Maximum size of a key file in octets; a key of 4096 bits takes 3,300."""

Timestamp = Annotated[
    int | None,
    typer.Option(
        "--timestamp",
        metavar="SECONDS",
        min=0,
        max=999_999_999_999,  # t= has twelve digits at most (RFC 6376 section 3.5)
        help="Time to use, in seconds since 1970. Default: now.",
        show_default=False,
    ),
]


SigningDomain = Annotated[str, typer.Option("--domain", help="Signing domain (d=).")]
Selector = Annotated[str, typer.Option("--selector", help="Selector of the key (s=).")]
KeyFile = Annotated[
    Path,
    typer.Option("--key", metavar="PEM", help="File of the private key, without a password."),
]
SignedHeaders = Annotated[
    str | None,
    typer.Option(
        "--headers",
        metavar="NAME:NAME",
        help="Sign exactly these fields. Default: all that are shown to people, each once more "
        "than it occurs, so that none can be added.",
        show_default=False,
    ),
]


def verify(
    file: MessageFile,
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    timestamp: Timestamp = None,
    as_json: AsJson = False,
) -> None:
    """Verify the DKIM signatures of a message.

    The results are those of RFC 8601 section 2.7.1.

    Exit status: 0 at least one signature passes, 1 none does, 2 wrong usage.
    """
    from zajil.mailauth.dkim_body import BodyDigests, body_needs
    from zajil.mailauth.dkim_verify import verify_dkim
    from zajil.message.fields import read_fields, split_message

    message = read_message(file)
    end, start = split_message(message)
    header = message[:end]
    fields = read_fields(header)
    digests = BodyDigests(body_needs(fields))
    digests.feed(message[start:])
    flow = verify_dkim(header, fields, digests, now_s(timestamp))
    found = ask(flow, nameserver, timeout)
    if as_json:
        print_json({"signatures": [_as_dict(one) for one in found]})
    else:
        _print_found(found)
    if not any(one.result == "pass" for one in found):
        raise typer.Exit(1)


def sign(
    file: MessageFile,
    domain: SigningDomain,
    selector: Selector,
    key: KeyFile,
    algorithm: Annotated[
        str | None,
        typer.Option(
            "--algorithm",
            help="rsa-sha256 or ed25519-sha256. Default: that of the key.",
            show_default=False,
        ),
    ] = None,
    canonicalization: Annotated[
        str,
        typer.Option("--canonicalization", help="Header/body: each is simple or relaxed."),
    ] = "relaxed/relaxed",
    headers: SignedHeaders = None,
    timestamp: Timestamp = None,
) -> None:
    """Sign a message and print it with the new field on top.

    Exit status: 0 done, 1 the key or the message cannot be read or signed, 2 wrong usage.
    """
    from zajil.mailauth.dkim_body import BodyDigests, BodyNeed
    from zajil.mailauth.dkim_sign import CannotSign, sign_dkim, split_canonicalization
    from zajil.message.fields import read_fields, split_message

    signing_key = read_key(key, domain, selector, algorithm)
    try:
        _, body = split_canonicalization(canonicalization)
    except CannotSign as error:
        raise WrongUsage(f"--canonicalization: {error}") from None
    message = read_message(file)
    end, start = split_message(message)
    header = message[:end]
    digests = BodyDigests([BodyNeed(body, "sha256", None)])
    digests.feed(message[start:])
    field = sign_dkim(
        header,
        read_fields(header),
        digests,
        signing_key,
        now_s=now_s(timestamp),
        canonicalization=canonicalization,
        headers=None if headers is None else split_names(headers),
    )
    sys.stdout.flush()
    sys.stdout.buffer.write(field + message)
    sys.stdout.buffer.flush()


def read_key(file: Path, domain: str, selector: str, algorithm: str | None) -> SigningKey:
    """Return the private key that a command signs with.

    Raises:
        BadDomain: the domain or the selector cannot be used.
        BadSigningKey: the file cannot be read, or has no key of this algorithm.
    """
    from zajil.core.domain import to_ascii
    from zajil.mailauth.dkim_key import KEY_TYPES
    from zajil.mailauth.dkim_sign import BadSigningKey, load_signing_key

    if algorithm is not None and algorithm not in KEY_TYPES:
        raise WrongUsage(f"--algorithm {algorithm}: use one of {', '.join(KEY_TYPES)}")
    name = to_ascii(domain)
    if "." not in name:
        raise WrongUsage(
            f"--domain {domain}: a signing domain has two labels (RFC 6376 section 3.5)"
        )
    try:
        with file.open("rb") as opened:
            pem = opened.read(_MAX_KEY)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadSigningKey(f"{file} cannot be read: {reason}") from None
    try:
        return load_signing_key(pem, name, to_ascii(selector), algorithm)
    except BadSigningKey as error:
        raise BadSigningKey(f"{file}: {error}") from None


def split_names(headers: str) -> list[bytes]:
    """Return the names in ``from:to:subject``."""
    return [name.strip().encode("utf-8", "surrogateescape") for name in headers.split(":")]


def now_s(timestamp: int | None) -> int:
    """Return the time of ``--timestamp``, or now, in seconds since 1970."""
    from zajil.net.system import SystemClock

    return SystemClock().now_ms() // 1000 if timestamp is None else timestamp


def _print_found(found: Sequence[DkimFound]) -> None:
    if not found:
        print("none: the message has no DKIM signature.")
    for one in found:
        print(printable(f"{one.result}: {one.domain} ({one.selector}, {one.algorithm})"))
        print(printable(f"    {one.reason}"))
        for line in one.inputs:
            print(printable(f"    {line}"))


def _as_dict(found: DkimFound) -> dict[str, object]:
    return {
        "domain": found.domain,
        "selector": found.selector,
        "algorithm": found.algorithm,
        "result": found.result,
        "reason": found.reason,
        "identity": found.identity,
        "key_bits": found.key_bits,
        "is_testing": found.is_testing,
        "covers_from": found.covers_from,
        "signed_size": found.signed_size,
        "inputs": list(found.inputs),
    }
