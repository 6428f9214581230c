"""``zajil tls``: the certificate of the server."""

from __future__ import annotations

import typer

from zajil.cli.configured import read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, spell_time
from zajil.core.errors import NOT_DONE

tls_app = typer.Typer(name="tls", help="The certificate of the server.", no_args_is_help=True)


@tls_app.command("show")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show names, issuer and validity of the certificate.

    Exit status: 0 it is valid, 1 it is not (expired, or not for server.hostname), 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.tls.certificate import find_problems, read_certificate

    configuration = read_configuration(context)
    if configuration.tls.certificate is None:
        raise WrongUsage("tls.certificate is not set: the server has no certificate")
    facts = read_certificate(configuration.tls.certificate)
    fits = facts.fits(configuration.server.hostname)
    now_ms = SystemClock().now_ms()
    problems = find_problems(facts, configuration.server.hostname, now_ms)
    valid = facts.not_before_ms <= now_ms < facts.not_after_ms
    if as_json:
        print_json(
            {
                "names": list(facts.names),
                "issuer": facts.issuer,
                "self_signed": facts.self_signed,
                "not_before_ms": facts.not_before_ms,
                "not_after_ms": facts.not_after_ms,
                "fits_hostname": fits,
                "valid_now": valid,
                "problems": [
                    {"problem": one.problem.value, "reason": one.text} for one in problems
                ],
            }
        )
    else:
        print(f"names   {', '.join(facts.names)}")
        print(f"issuer  {facts.issuer}{' (self-signed)' if facts.self_signed else ''}")
        print(f"valid   {spell_time(facts.not_before_ms)} to {spell_time(facts.not_after_ms)}")
        for one in problems:
            print(f"{'Warning' if one.is_warning else 'Error'}: {one.text}.")
    raise typer.Exit(0 if fits and valid else NOT_DONE)
