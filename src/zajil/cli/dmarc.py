"""``zajil dmarc``: check a message against DMARC, and DMARC reports."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.asking import (
    TIMEOUT_SECONDS,
    NameserverOption,
    TimeoutOption,
    run_with_resolver,
)
from zajil.cli.dkim_message import Timestamp, now_s
from zajil.cli.dmarc_reports import reports_app
from zajil.cli.errors import WrongUsage
from zajil.cli.message_file import MessageFile, read_message
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.dns.flow import Resolve
    from zajil.mailauth.dkim_verify import DkimFound
    from zajil.mailauth.dmarc import DmarcFound
    from zajil.mailauth.spf import SpfFound, SpfQuery

dmarc_app = typer.Typer(
    name="dmarc",
    help="DMARC: check a message, and reports.",
    no_args_is_help=True,
)
dmarc_app.add_typer(reports_app)


@dmarc_app.command("check")
def check(
    file: MessageFile,
    ip: Annotated[str, typer.Option(help="IP address of the client that sent it.")],
    mail_from: Annotated[
        str, typer.Option(help="Address in MAIL FROM. Empty: postmaster at the EHLO name.")
    ] = "",
    helo: Annotated[str, typer.Option(help="Name in EHLO.")] = "",
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    timestamp: Timestamp = None,
    as_json: AsJson = False,
) -> None:
    """Check SPF, DKIM and DMARC of a message.

    The disposition is what the domain in From asks receivers to do with the message.

    Exit status: 0 pass or none, 1 fail or an error, 2 wrong usage.
    """
    from zajil.mailauth.spf import SpfQuery

    try:
        address = ip_address(ip)
    except ValueError:
        raise WrongUsage(f"--ip {ip}: not an IP address") from None
    at_s = now_s(timestamp)
    query = SpfQuery(address, mail_from, helo, now_s=at_s)
    message = read_message(file)
    spf, dkim, dmarc = run_with_resolver(
        lambda resolve: _check(message, query, at_s, resolve), nameserver, timeout
    )
    if as_json:
        print_json(_as_dict(spf, dkim, dmarc))
    else:
        _print_found(spf, dkim, dmarc)
    raise typer.Exit(0 if dmarc.result in ("pass", "none") else 1)


async def _check(
    message: bytes, asked: SpfQuery, at_s: int, resolve: Resolve
) -> tuple[SpfFound, tuple[DkimFound, ...], DmarcFound]:
    from zajil.check.flows import run_side_by_side
    from zajil.check.sender.author import find_authors
    from zajil.dns.flow import run_flow
    from zajil.mailauth.dkim_body import BodyDigests, body_needs
    from zajil.mailauth.dkim_verify import verify_dkim
    from zajil.mailauth.dmarc import DmarcQuery, check_dmarc
    from zajil.mailauth.spf import check_spf
    from zajil.message.fields import read_fields, split_message

    end, start = split_message(message)
    header = message[:end]
    fields = read_fields(header)
    digests = BodyDigests(body_needs(fields))
    digests.feed(message[start:])
    flows = [check_spf(asked), verify_dkim(header, fields, digests, at_s)]
    spf, dkim = await run_side_by_side(flows, resolve)
    authors = find_authors(fields)
    query = DmarcQuery(authors.domains, spf, dkim, authors.are_all)
    dmarc = await run_flow(check_dmarc(query), resolve)
    return spf, dkim, dmarc


def _as_dict(spf: SpfFound, dkim: Sequence[DkimFound], dmarc: DmarcFound) -> dict[str, Any]:
    return {
        "result": dmarc.result,
        "policy": dmarc.policy,
        "disposition": dmarc.disposition,
        "domain": dmarc.domain,
        "organizational_domain": dmarc.organizational_domain,
        "record_domain": dmarc.record_domain,
        "alignment": list(dmarc.alignment),
        "spf": {
            "result": spf.result,
            "identity": spf.identity,
            "domain": spf.domain,
            "reason": spf.reason,
            "aligned": "spf" in dmarc.alignment,
        },
        "dkim": [
            {
                "result": one.result,
                "domain": one.domain,
                "selector": one.selector,
                "algorithm": one.algorithm,
                "reason": one.reason,
            }
            for one in dkim
        ],
        "reason": dmarc.reason,
        "inputs": list(dmarc.inputs),
    }


def _print_found(spf: SpfFound, dkim: Sequence[DkimFound], dmarc: DmarcFound) -> None:
    print(printable(f"{dmarc.result}: {dmarc.reason}"))
    if dmarc.record_domain is not None:
        print(printable(f"policy {dmarc.policy} of {dmarc.record_domain}: {dmarc.disposition}"))
    print(printable(f"spf {spf.result}: {spf.reason}"))
    for one in dkim:
        print(printable(f"dkim {one.result}: {one.reason}"))
    if not dkim:
        print("dkim none: the message has no DKIM signature.")
    for line in dmarc.inputs:
        print(printable(f"    {line}"))
