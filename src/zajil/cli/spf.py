"""``zajil spf``: check a sender against SPF."""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_address
from typing import Annotated

import typer

from zajil.cli.asking import TIMEOUT_SECONDS, NameserverOption, TimeoutOption, ask
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable

spf_app = typer.Typer(name="spf", help="SPF: who may send mail for a domain.", no_args_is_help=True)


@spf_app.command("check")
def check(
    ip: Annotated[str, typer.Option(help="IP address of the client.")],
    mail_from: Annotated[
        str, typer.Option(help="Address in MAIL FROM. Empty: postmaster at the EHLO name.")
    ] = "",
    helo: Annotated[str, typer.Option(help="Name in EHLO.")] = "",
    default_explanation: Annotated[
        str | None, typer.Option(help="Explanation of a fail, if the domain has none.")
    ] = None,
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Check a sender against the SPF record of its domain (RFC 7208).

    Exit status: 0 pass, 1 any other result, 2 wrong usage.
    """
    from zajil.mailauth.spf import SpfQuery, check_spf
    from zajil.net.system import SystemClock

    try:
        address = ip_address(ip)
    except ValueError:
        raise WrongUsage(f"--ip {ip}: not an IP address") from None
    now_s = SystemClock().now_ms() // 1000
    query = SpfQuery(address, mail_from, helo, now_s=now_s, default_explanation=default_explanation)
    found = ask(check_spf(query), nameserver, timeout)
    if as_json:
        print_json(asdict(found))
    else:
        print(f"{found.result}: {printable(found.reason)}")
        if found.explanation is not None:
            print(f"  explanation: {printable(found.explanation)}")
        for line in found.inputs:
            print(f"  {printable(line)}")
    raise typer.Exit(0 if found.result == "pass" else 1)
