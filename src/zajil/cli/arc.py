"""``zajil arc``: the ARC chain of a message in a file, without a server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.asking import TIMEOUT_SECONDS, NameserverOption, TimeoutOption, ask
from zajil.cli.dkim_message import (
    KeyFile,
    Selector,
    SignedHeaders,
    SigningDomain,
    Timestamp,
    now_s,
    read_key,
    split_names,
)
from zajil.cli.message_file import MessageFile, read_message
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.dns.flow import Flow
    from zajil.mailauth.arc import ArcFound
    from zajil.mailauth.dkim_body import BodyDigests
    from zajil.message.fields import Field

arc_app = typer.Typer(
    name="arc", help="ARC: seals of servers that forwarded a message.", no_args_is_help=True
)


@arc_app.command("verify")
def verify(
    file: MessageFile,
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    timestamp: Timestamp = None,
    as_json: AsJson = False,
) -> None:
    """Validate the ARC chain of a message: none, pass or fail.

    Exit status: 0 none or pass, 1 fail, 2 wrong usage.
    """
    header, fields, digests = _load(read_message(file))
    found = ask(_verify_flow(header, fields, digests, now_s(timestamp)), nameserver, timeout)
    if as_json:
        print_json(
            {
                "cv": found.cv,
                "instances": found.instances,
                "reason": found.reason,
                "sealers": list(found.sealers),
                "oldest_pass": found.oldest_pass,
                "inputs": list(found.inputs),
            }
        )
    else:
        print(printable(f"{found.cv}: {found.reason}"))
        for line in found.inputs:
            print(printable(f"    {line}"))
    raise typer.Exit(1 if found.cv == "fail" else 0)


@arc_app.command("seal")
def seal(
    file: MessageFile,
    domain: SigningDomain,
    selector: Selector,
    key: KeyFile,
    authserv_id: Annotated[
        str,
        typer.Option(
            "--authserv-id",
            help="Server whose Authentication-Results in the message are sealed.",
        ),
    ],
    headers: SignedHeaders = None,
    timestamp: Timestamp = None,
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
) -> None:
    """Add an ARC set to a message and print it with the new fields on top.

    The chain status is taken from the Authentication-Results of --authserv-id; where they have
    none, the chain is validated. A chain that failed before gets no new set. By default the DKIM
    signatures are signed, too.

    Exit status: 0 done, 1 the key or the message cannot be read or sealed, 2 wrong usage.
    """
    from zajil.mailauth.arc_seal import claimed_cv, merge_results, seal_arc

    signing_key = read_key(key, domain, selector, None)
    message = read_message(file)
    header, fields, digests = _load(message)
    at_s = now_s(timestamp)
    cv = claimed_cv(fields, authserv_id)
    if cv is None or cv == "none":
        cv = ask(_verify_flow(header, fields, digests, at_s), nameserver, timeout).cv
    sealed = seal_arc(
        header,
        fields,
        digests,
        signing_key,
        authserv_id=authserv_id,
        results=merge_results(fields, authserv_id),
        cv=cv,
        now_s=at_s,
        headers=None if headers is None else split_names(headers),
    )
    sys.stdout.flush()
    sys.stdout.buffer.write(sealed + message)
    sys.stdout.buffer.flush()


def _load(message: bytes) -> tuple[bytes, list[Field], BodyDigests]:
    """Return the header section of a message, its fields, and the hashes of its body."""
    from zajil.mailauth.arc_seal import SEAL_NEED
    from zajil.mailauth.dkim_body import BodyDigests, body_needs
    from zajil.message.fields import read_fields, split_message

    end, start = split_message(message)
    header = message[:end]
    fields = read_fields(header)
    digests = BodyDigests((*body_needs(fields), SEAL_NEED))
    digests.feed(message[start:])
    return header, fields, digests


def _verify_flow(
    header: bytes, fields: list[Field], digests: BodyDigests, at_s: int
) -> Flow[ArcFound]:
    from zajil.mailauth.arc import verify_arc

    return verify_arc(header, fields, digests, at_s)
