"""``zajil check``: the checks of mail, and why a mail was judged as it was."""

from __future__ import annotations

import re
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli import check_measure
from zajil.cli.asking import TIMEOUT_SECONDS, NameserverOption, TimeoutOption
from zajil.cli.configured import configuration_file, opened_store, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, print_table, printable

if TYPE_CHECKING:
    from zajil.config.options_check import CheckOptions
    from zajil.operations.explain import Explanation, Translate
    from zajil.operations.explain_file import Envelope, Installation

check_app = typer.Typer(
    name="check", help="Checks for spam, phishing and malware.", no_args_is_help=True
)
check_app.command("measure")(check_measure.measure)
check_app.command("train")(check_measure.train)


@check_app.command("signals")
def signals(as_json: AsJson = False) -> None:
    """List all signals of the checks with weight and text."""
    from zajil.check.verdict.signals import SIGNALS

    if as_json:
        listed = [
            {"signal": name, "weight": signal.weight, "text": signal.text}
            for name, signal in SIGNALS.items()
        ]
        print_json({"signals": listed})
        return
    rows = [(name, f"{signal.weight:g}", signal.text) for name, signal in SIGNALS.items()]
    print_table(("signal", "weight", "sentence"), rows)


@check_app.command("explain")
def explain(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|MAIL_ID", help="A message, - for standard input, or the id of a mail."
        ),
    ],
    ip: Annotated[
        str | None,
        typer.Option(help="IP address of the client. Default: unknown, and not checked."),
    ] = None,
    mail_from: Annotated[str, typer.Option(help="Address in MAIL FROM. Empty: a bounce.")] = "",
    helo: Annotated[str, typer.Option(help="Name in EHLO.")] = "",
    account: Annotated[
        str | None,
        typer.Option(help="Account that gets the file: what it taught the classifier counts, too."),
    ] = None,
    language: Annotated[
        str,
        typer.Option(help="Language of the texts: the code of a catalog, such as en, ar or fr."),
    ] = "en",
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Show why a mail is accepted, junk, deferred or rejected, and what would change that.

    A file is checked now, with the weights, name servers, account names and classifier of the
    configured server; without a configuration, as mail for the domains in its address fields. The
    history of its sender is not used. For the id of a mail, the verdict it got then is shown.

    Exit status: 0 accepted, 1 not accepted, or unknown id, 2 wrong usage.
    """
    from zajil.core.ids import MAIL_ID_PATTERN
    from zajil.operations.explain import explanation_to_dict

    translate = _translator(language)
    if re.fullmatch(MAIL_ID_PATTERN, what) and not Path(what).exists():
        told = _explain_mail(context, what)
    else:
        from zajil.operations.explain_file import Envelope

        options, nameservers = _configured(context)
        where = _installation(context, options, account)
        envelope = Envelope(_address(ip), mail_from, helo)
        told = (_explain_file(what, envelope, options, where, (nameserver, timeout, nameservers)),)
    if as_json:
        shown = explanation_to_dict(told[0], translate)
        others = [explanation_to_dict(one, translate) for one in told[1:]]
        print_json({**shown, "recipients": others})
    else:
        for one in told:
            _print_explanation(one, translate)
    raise typer.Exit(0 if told[0].verdict.action.value == "accept" else 1)


def _translator(language: str) -> Translate:
    from zajil.web.language import load_languages

    languages = load_languages()
    if language not in languages:
        raise WrongUsage(f"--language {language}: use {' or '.join(languages)}")
    return languages[language].gettext


def _explain_mail(context: typer.Context, mail_id: str) -> tuple[Explanation, ...]:
    from zajil.check.step import thresholds_of
    from zajil.core.ids import MailId
    from zajil.operations.explain import explain_mail

    thresholds = thresholds_of(read_configuration(context).check)
    with opened_store(context) as store:
        return store.read_now(lambda conn: explain_mail(conn, MailId(mail_id), thresholds))


def _configured(context: typer.Context) -> tuple[CheckOptions, tuple[str, ...]]:
    """Return ``[check]`` and ``dns.nameservers``; without a configuration, the defaults."""
    from zajil.config.options_check import CheckOptions

    try:
        configuration_file(context)
    except WrongUsage:
        return CheckOptions(), ()
    configuration = read_configuration(context)
    return configuration.check, configuration.dns.nameservers


def _installation(
    context: typer.Context, options: CheckOptions, account: str | None
) -> Installation | None:
    """Return what the server has learned; ``None``: no configuration, or no access to its store."""
    from zajil.operations.explain_file import read_installation
    from zajil.operations.run import WrongUser
    from zajil.store.engine.errors import StoreUnavailable

    try:
        configuration_file(context)
    except WrongUsage:
        if account is not None:
            raise
        return None
    try:
        with opened_store(context) as store:
            return read_installation(store, options, account)
    except (StoreUnavailable, WrongUser) as error:
        if account is not None:
            raise
        print(f"zajil: checked without the classifier: {error}", file=sys.stderr)
        return None


def _address(ip: str | None) -> str | None:
    try:
        return None if ip is None else str(ip_address(ip))
    except ValueError:
        raise WrongUsage(f"--ip {ip}: not an IP address") from None


def _explain_file(
    file: str,
    envelope: Envelope,
    options: CheckOptions,
    where: Installation | None,
    asking: tuple[str | None, float, tuple[str, ...]],
) -> Explanation:
    from zajil.cli.asking import run_with_resolver
    from zajil.cli.message_file import read_message
    from zajil.operations.explain_file import explain_file

    message = read_message(file)
    return run_with_resolver(
        lambda resolve: explain_file(message, options, resolve, envelope, where), *asking
    )


def _print_explanation(told: Explanation, translate: Translate) -> None:
    from zajil.check.verdict.explain import spell_change, spell_verdict

    verdict = told.verdict
    whose = f" {printable(told.recipient)}" if told.recipient else ""
    words = spell_verdict(verdict, translate)
    print(f"{verdict.action.value}{whose} ({words}, {verdict.score:g})")
    for reason in verdict.reasons:
        text = translate(reason.template).format(**dict(reason.values))
        print(f"  {reason.weight:+6.2f}  {printable(text)}  [{reason.signal}]")
    for change in told.changes:
        print(f"  {spell_change(change, translate)}")
