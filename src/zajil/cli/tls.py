"""``zajil tls``: the certificates of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import open_operations, opened_store, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, print_table, printable, spell_time
from zajil.cli.tls_reports import reports_app
from zajil.core.errors import NOT_DONE, Refused

if TYPE_CHECKING:
    from zajil.certificates.listing import ListedCertificate
    from zajil.config.options import Configuration
    from zajil.tls.certificate import CertificateFacts

tls_app = typer.Typer(
    name="tls",
    help="The certificates of the server, and reports on TLS between servers.",
    no_args_is_help=True,
)
tls_app.add_typer(reports_app)

Name = Annotated[str, typer.Argument(help="Host name, as `zajil tls list` prints it.")]
OptionalName = Annotated[
    str | None,
    typer.Argument(help="Host name; default: server.hostname.", show_default=False),
]


@tls_app.command("list")
def list_names(context: typer.Context, as_json: AsJson = False) -> None:
    """List all certificates: own files, and the names for which an authority is asked.

    States: own (a file), valid, renewing, failing, waiting, expired, broken. A name that waits says
    for what, such as its DNS record. Exit status: 0.
    """
    found = _load(context, read_configuration(context))
    if as_json:
        print_json([_to_dict(one) for one in found])
        return
    if not found:
        print("No certificate: set acme.directory, or tls.certificate and tls.key.")
        return
    rows = [
        (
            one.name,
            one.state,
            spell_time(one.facts.not_after_ms if one.facts else None),
            spell_time(one.renew_ms),
            one.reason or one.file or "",
        )
        for one in found
    ]
    print_table(("NAME", "STATE", "ENDS", "NEXT TRY", "REASON OR FILE"), rows)


@tls_app.command("show")
def show(context: typer.Context, name: OptionalName = None, as_json: AsJson = False) -> None:
    """Show names, issuer and validity of a certificate.

    Exit status: 0 it is valid, 1 it is not (expired, or not for the name), 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.tls.certificate import find_problems, read_certificate

    configuration = read_configuration(context)
    hostname = configuration.server.hostname
    if name is None and configuration.tls.certificate is not None:
        facts = read_certificate(configuration.tls.certificate)
    else:
        facts = _find(context, configuration, _ascii(name) if name else hostname)
    wanted = _ascii(name) if name else hostname
    now_ms = SystemClock().now_ms()
    problems = find_problems(facts, wanted, now_ms)
    valid = facts.not_before_ms <= now_ms < facts.not_after_ms
    fits = facts.fits(wanted) or wanted in facts.names
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


class NoAuthority(Refused):
    """Certificates of an authority are not configured."""


@tls_app.command("renew")
def renew(context: typer.Context, name: Name) -> None:
    """Have a certificate renewed by the running server at once, or when it starts.

    Pauses after failures end, too. The private key stays the same. `zajil tls list` shows the
    result. Exit status: 0 it will be tried, 1 no authority is asked for this name.
    """
    from zajil.operations.certificates import renew_certificate

    wanted = _ascii(name)
    if read_configuration(context).acme.directory is None:
        raise NoAuthority("no authority is asked for certificates: acme.directory is not set")
    with open_operations(context) as operations:
        operations.run(renew_certificate, wanted)
    print(f"The server will ask for a certificate for {wanted}; see `zajil tls list`.")


@tls_app.command("check")
def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Check all certificates, for monitoring.

    Exit status: 0 all names have a valid certificate or wait for DNS, 1 a certificate has expired,
    ends within 14 days, cannot be read, or cannot be renewed.
    """
    from zajil.net.system import SystemClock
    from zajil.tls.certificate import find_problems

    now_ms = SystemClock().now_ms()
    problems = []
    for one in _load(context, read_configuration(context)):
        wanted = one.name
        found = find_problems(one.facts, wanted, now_ms) if one.facts else ()
        reasons = [each.text for each in found if each.problem.value != "other-name"]
        if one.state in ("failing", "broken"):
            reasons.append(one.reason or one.state)
        problems += [{"name": wanted, "reason": reason} for reason in reasons]
    if as_json:
        print_json(problems)
    for problem in () if as_json else problems:
        print(f"{printable(problem['name'])}: {printable(problem['reason'])}")
    if not problems and not as_json:
        print("All certificates are valid.")
    raise typer.Exit(NOT_DONE if problems else 0)


def _load(context: typer.Context, configuration: Configuration) -> Sequence[ListedCertificate]:
    from zajil.certificates.listing import list_all, own_certificates
    from zajil.net.system import SystemClock

    now_ms = SystemClock().now_ms()
    if configuration.acme.directory is None:
        return own_certificates(configuration, now_ms)
    with opened_store(context) as store:
        return store.read_now(lambda conn: list_all(conn, configuration, now_ms))


def _find(context: typer.Context, configuration: Configuration, name: str) -> CertificateFacts:
    found = _load(context, configuration)
    for one in found:
        if one.facts is not None and (one.name == name or one.facts.fits(name)):
            return one.facts
    if not found:
        raise WrongUsage("tls.certificate is not set: the server has no certificate")
    raise WrongUsage(f"there is no certificate for {name}; see `zajil tls list`")


def _ascii(name: str) -> str:
    from zajil.core.domain import BadDomain, to_ascii

    try:
        return "*." * name.startswith("*.") + to_ascii(name.removeprefix("*."))
    except BadDomain as error:
        raise WrongUsage(str(error)) from None


def _to_dict(one: ListedCertificate) -> dict[str, Any]:
    facts = one.facts
    return {
        "name": one.name,
        "state": one.state,
        "names": list(facts.names) if facts else [],
        "issuer": facts.issuer if facts else None,
        "not_before_ms": facts.not_before_ms if facts else None,
        "not_after_ms": facts.not_after_ms if facts else None,
        "file": one.file,
        "next_try_ms": one.renew_ms,
        "last_try_ms": one.tried_ms,
        "failures": one.failures,
        "reason": one.reason,
    }
