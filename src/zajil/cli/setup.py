"""``zajil setup``: set up a new server, with questions on a terminal or with options."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.account import PasswordFile, read_password
from zajil.cli.configured import Root
from zajil.cli.dns import print_records
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json
from zajil.config.places import (
    CONFIGURATION_FILE,
    CONFIGURATION_FOLDER,
    DATA_FOLDER,
    USER,
    has_systemd,
    is_system_package,
)

if TYPE_CHECKING:
    from zajil.operations.setup import SetupResult
    from zajil.operations.setup_plan import SetupPlan


def _read_path(text: str) -> Path:
    if not text.strip():
        raise typer.BadParameter("a folder is needed")
    return Path(text)


def setup(
    context: typer.Context,
    domain: Annotated[
        str | None,
        typer.Argument(
            help="Your mail domain: example.org, زاجل.مصر. Without it, setup asks for everything "
            "that no option answers.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            parser=_read_path,
            metavar="PATH",
            help="Folder for configuration, keys and mail. Default, if Zajil was installed by the "
            f"package of the system: {CONFIGURATION_FOLDER}, and {DATA_FOLDER} for mail.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            parser=_read_path, metavar="PATH", help="Folder for mail. Default: data in --dir."
        ),
    ] = None,
    hostname: Annotated[
        str | None, typer.Option(help="Host name of the server. Default: mail. before the domain.")
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            help="IP address to listen on; repeatable. Default: all, with IPv6 if there is.",
            show_default=False,
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file of your certificate. Default: a self-signed one is made."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    acme_contact: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Get certificates by ACME; mail address for the authority. Needs "
            "--acme-agree-terms.",
        ),
    ] = None,
    acme_agree_terms: Annotated[
        bool, typer.Option("--acme-agree-terms", help="Agree to the terms of the authority.")
    ] = False,
    acme_directory: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Directory of the authority. Default: Let's Encrypt."),
    ] = None,
    smarthost: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Server of a provider that takes all mail to send."),
    ] = None,
    smarthost_login: Annotated[str | None, typer.Option(help="User name at the smarthost.")] = None,
    smarthost_password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the password at the smarthost.")
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(help="Address of the first account. Default: admin@ the domain."),
    ] = None,
    login: Annotated[
        str | None,
        typer.Option(help="Login name of the first account. Default: derived from the address."),
    ] = None,
    password_file: PasswordFile = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="System user to run as; required if the server is started as root. Default, with "
            f"the package of the system: {USER}."
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="URL of a PostgreSQL database. Default: SQLite in --dir.")
    ] = None,
    database_file: Annotated[
        Path | None,
        typer.Option(
            help="File whose first line is that URL: other users of this machine can read the "
            "command line, and a password in it."
        ),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Test the machine before anything is written; stop at a problem."
        ),
    ] = False,
    web: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS:PORT]",
            help="Ask in the browser, at an address that works once. Default: 127.0.0.1 and a free "
            "port.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set up a server: configuration, certificate, store, domain, first account. Do not start it.

    Without DOMAIN it asks on the terminal, tests the machine, and asks before it writes anything.
    With --web it asks the same in the browser. `zajil --set KEY=VALUE setup` writes further options
    into the configuration file.

    Exit status: 0 done, 1 the folder has a server or cannot be written, 2 wrong usage.
    """
    _end_on_signals(context)
    if database is not None and database_file is not None:
        raise WrongUsage("--database and --database-file cannot be combined")
    if database_file is not None:
        database = read_password(database_file, "the URL of the database")
    given = {
        "domain": domain,
        "folder": None if folder is None else str(folder),
        "hostname": hostname,
        "addresses": " ".join(address or ()),
        **_certificate(certificate, key),
        **_authority(acme_contact, acme_directory, agrees=acme_agree_terms),
        **_smarthost(smarthost, smarthost_login, smarthost_password_file),
        "admin": admin,
        "password": read_password(password_file),
        "user": user,
        **({} if database is None else {"database": "postgresql", "database_url": database}),
    }
    for name, typed in (
        ("DOMAIN", domain),
        ("--hostname", hostname),
        ("--admin", admin),
        ("--user", user),
        ("--smarthost", smarthost),
        ("--database", database),
    ):
        if typed is not None and not typed.strip():
            raise WrongUsage(f"{name} is empty: leave it out, or give an answer")
    answers = {name: value for name, value in given.items() if value}
    root: Root = context.find_root().obj
    if web is not None:
        if answers:
            raise WrongUsage(
                "--web asks for everything in the browser: leave out the other options"
            )
        from zajil.cli.setup_web import serve_setup

        serve_setup(web, root.overrides)
        return
    if domain is None:
        _ask(answers, data_dir, login, root.overrides)
        return
    plan, result = _set_up_at_once(answers, data_dir, login, root.overrides, probe=probe)
    if as_json:
        print_json(_result_to_dict(result))
    else:
        _print_result(plan, result)


def _end_on_signals(context: typer.Context) -> None:
    """End as with Ctrl+C, which undoes what was made, when the terminal is closed."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for one in (signal.SIGHUP, signal.SIGTERM):
        before = signal.signal(one, end)
        context.call_on_close(partial(signal.signal, one, before))


def _certificate(certificate: Path | None, key: Path | None) -> dict[str, str]:
    if certificate is None and key is None:
        return {}
    if certificate is None or key is None:
        raise WrongUsage("--certificate and --key must be given together")
    return {"tls": "files", "certificate": str(certificate), "key": str(key)}


def _authority(contact: str | None, directory: str | None, *, agrees: bool) -> dict[str, str]:
    if contact is None:
        if agrees or directory is not None:
            raise WrongUsage("--acme-agree-terms and --acme-directory need --acme-contact")
        return {}
    if not agrees:
        raise WrongUsage("--acme-contact needs --acme-agree-terms")
    asked = {"tls": "acme", "acme_contact": contact, "acme_terms": "agree"}
    return {**asked, **({} if directory is None else {"acme_directory": directory})}


def _smarthost(server: str | None, login: str | None, file: Path | None) -> dict[str, str | None]:
    if server is None:
        if login is not None or file is not None:
            raise WrongUsage("--smarthost-login and --smarthost-password-file need --smarthost")
        return {}
    if login is not None and file is None:
        raise WrongUsage("--smarthost-login needs --smarthost-password-file")
    host, _, port = server.rpartition(":")
    is_bare = not host or server.endswith("]") or (":" in host and not host.endswith("]"))
    return {
        "sending": "smarthost",
        "smarthost_host": server if is_bare else host,
        "smarthost_port": "587" if is_bare else port,
        "smarthost_login": login,
        "smarthost_password": read_password(file),
    }


def _ask(
    answers: dict[str, str], data_dir: Path | None, login: str | None, more: Sequence[str]
) -> None:
    """Ask for what is missing, on a terminal only."""
    if not sys.stdin.isatty():
        raise WrongUsage(
            "setup needs DOMAIN, like `zajil setup example.org`; without a terminal it cannot ask"
        )
    from zajil.cli.setup_dialog import run_dialog

    plan, result = run_dialog(answers, data_dir, login, more)
    _print_result(plan, result, with_records=False)


def _set_up_at_once(
    given: Mapping[str, str],
    data_dir: Path | None,
    login: str | None,
    more: Sequence[str],
    *,
    probe: bool,
) -> tuple[SetupPlan, SetupResult]:
    """Set up with the options, and defaults for the rest."""
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.setup import set_up
    from zajil.operations.setup_answers import this_machine
    from zajil.operations.setup_questions import QUESTIONS, check_answer, plan_of

    machine, answers = this_machine(), dict(given)
    if "folder" not in answers:
        if not is_system_package():
            raise WrongUsage(
                "setup needs --dir FOLDER, the folder for configuration, keys and mail"
            )
        answers["folder"] = str(CONFIGURATION_FOLDER)
        if machine.is_root:
            answers.setdefault("user", USER)
    addresses = next(one for one in QUESTIONS if one.name == "addresses")
    answers.setdefault("addresses", addresses.default(answers, machine))
    for question in QUESTIONS:
        # Whoever gives a password in a file chooses it for a program: its length is checked later.
        if question.name in given and question.name not in ("folder", "password"):
            answers[question.name] = check_answer(question, given[question.name], answers)
    plan = plan_of(answers, data_dir, login, more)
    if probe:
        _probe(plan)
    return plan, set_up(plan, SystemClock(), system_random)


def _probe(plan: SetupPlan) -> None:
    from zajil.cli.probe import print_probes
    from zajil.cli.setup_dialog import probe_plan
    from zajil.operations.probe import has_problem

    found = probe_plan(plan)
    print_probes(found)
    if has_problem(found):
        print("\nNothing was changed. Without --probe, setup goes on.", file=sys.stderr)
        raise typer.Exit(1)
    print()


def _result_to_dict(result: SetupResult) -> dict[str, Any]:
    account = result.account
    generated = {} if account.password is None else {"password": account.password}
    return {
        "config": str(result.configuration),
        "ascii_domain": result.domain,
        "account": {"address": account.address.unicode, "login": account.login, **generated},
        "records": [asdict(record) for record in result.records],
    }


def _print_result(plan: SetupPlan, result: SetupResult, *, with_records: bool = True) -> None:
    account = result.account
    print(f"Your server is in {plan.folder}.\n")
    print(f"First account  {account.address.unicode}, an administrator; it also gets the mail of")
    print("               postmaster@ and abuse@.")
    print(f"Login name     {account.login}")
    if account.password is not None:
        print(f"Password       {account.password}   (shown only now)")
    if os.geteuid() == 0 and plan.user in (None, "root"):
        print("\nWarning: this server runs as root; set server.user to change that.")
    if with_records:
        print("\nPublish these records in DNS:\n")
        print_records(result.records)
    config = result.configuration
    zajil, start = f"zajil --config {config}", f"zajil serve --config {config}"
    if config == CONFIGURATION_FILE:
        zajil = "zajil"
        if is_system_package() and has_systemd():
            start = "systemctl start zajil"
    print(f"\nThen start it:  {start}")
    print(f"And check DNS:  {zajil} dns check --watch")
    if plan.authority is not None:
        print(f"It gets its certificate as soon as its names lead to it: {zajil} tls list")
    elif plan.makes_certificate:
        print("Its certificate is self-signed: other servers accept it, mail programs warn about")
        print(f"it. To use a certificate of a public authority, see [acme] in {config}.")
