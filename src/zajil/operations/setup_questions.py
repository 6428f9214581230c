"""The questions of ``zajil setup``, the same on a terminal, as options and in the browser.

A question has a name, a text, a default that is found on the machine, and a check that returns the
answer as it is kept or says what is wrong with it. ``plan_of`` makes a plan of all answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zajil.config.places import CONFIGURATION_FOLDER, DATA_FOLDER, USER
from zajil.operations.setup_answers import (
    Answers,
    BadAnswer,
    Machine,
    all_addresses,
    check_addresses,
    check_admin,
    check_contact,
    check_database,
    check_domain,
    check_file,
    check_folder,
    check_host,
    check_hostname,
    check_key,
    check_password,
    check_port,
    check_user,
    default_folder,
)
from zajil.operations.setup_plan import LETS_ENCRYPT, AcmeAuthority, SetupPlan, Smarthost
from zajil.tracking.check_names import mark

Default = Callable[[Answers, Machine], str]
Check = Callable[[str, Answers], str]
Condition = Callable[[Answers, Machine], bool]


def _nothing(_answers: Answers, _machine: Machine) -> str:
    return ""


def _always(_answers: Answers, _machine: Machine) -> bool:
    return True


def _as_typed(text: str, _answers: Answers) -> str:
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupQuestion:
    """One question; its texts are keys of the catalogs."""

    name: str
    option: str
    """Of the command line, that answers it."""
    text: str
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    """Values with their texts; empty: any text."""
    secret: bool = False
    """It is not shown while it is typed."""
    optional: bool = False
    """Nothing is an answer too."""
    default: Default = _nothing
    check: Check = _as_typed
    condition: Condition = _always
    """Whether it is asked, after the answers before it."""


def check_answer(question: SetupQuestion, typed: str, answers: Answers) -> str:
    """Return an answer as it is kept.

    Args:
        question: that was asked.
        typed: what the operator typed.
        answers: to the questions before it.

    Raises:
        Invalid: it cannot be used; the text says why.
    """
    text = typed if question.secret else typed.strip()
    if not text:
        if question.optional:
            return ""
        raise BadAnswer(mark("An answer is needed."))
    if question.choices and text not in [value for value, _ in question.choices]:
        values = ", ".join(value for value, _ in question.choices)
        raise BadAnswer(mark("Choose one of these: {values}."), values=values)
    return question.check(text, answers)


def given_folder() -> str:
    """Return the folder where it is not asked for: the package of the system has one."""
    return str(CONFIGURATION_FOLDER)


def plan_of(
    answers: Answers,
    data_dir: Path | None = None,
    login: str | None = None,
    more: Sequence[str] = (),
) -> SetupPlan:
    """Return the plan that checked answers lead to.

    Args:
        answers: of ``check_answer``; what was not asked may be missing.
        data_dir: folder for mail; ``None``: the usual one for the folder.
        login: login name of the first account; ``None``: derived from its address.
        more: further options for the file, as ``KEY=VALUE``.
    """
    folder = Path(answers["folder"])
    if data_dir is None and folder == CONFIGURATION_FOLDER:
        data_dir = DATA_FOLDER
    smarthost = None
    if answers.get("sending") == "smarthost":
        smarthost = Smarthost(
            host=answers["smarthost_host"],
            port=int(answers["smarthost_port"]),
            login=answers.get("smarthost_login") or None,
            password=answers.get("smarthost_password") or None,
        )
    authority = None
    if answers.get("tls") == "acme" and answers.get("acme_terms") == "agree":
        authority = AcmeAuthority(
            directory=answers.get("acme_directory") or LETS_ENCRYPT,
            contact=answers["acme_contact"],
        )
    certificate = None
    if answers.get("tls") == "files":
        certificate = Path(answers["certificate"]), Path(answers["key"])
    return SetupPlan(
        domain=answers["domain"],
        folder=folder,
        data_dir=data_dir,
        hostname=answers.get("hostname") or None,
        admin=answers.get("admin") or None,
        login=login,
        password=answers.get("password") or None,
        user=answers.get("user") or None,
        store_url=answers.get("database_url") or None,
        addresses=answers.get("addresses", "").split() or None,
        certificate=certificate,
        authority=authority,
        smarthost=smarthost,
        more=more,
    )


QUESTIONS: Sequence[SetupQuestion] = (
    SetupQuestion(
        name="domain",
        option="DOMAIN",
        text=mark("Mail domain"),
        help=mark("The part of your addresses after the @, like example.org."),
        check=check_domain,
    ),
    SetupQuestion(
        name="hostname",
        option="--hostname",
        text=mark("Host name of this server"),
        help=mark("Other servers and mail programs connect to this name."),
        default=lambda answers, _: f"mail.{answers['domain']}",
        check=check_hostname,
    ),
    SetupQuestion(
        name="folder",
        option="--dir",
        text=mark("Folder for the configuration"),
        default=default_folder,
        check=check_folder,
        condition=lambda _, machine: not machine.is_package,
    ),
    SetupQuestion(
        name="user",
        option="--user",
        text=mark("System user that the server runs as"),
        help=mark("For instance zajil; adduser makes one."),
        default=lambda _, machine: USER if machine.has_user else "",
        check=check_user,
        condition=lambda _, machine: machine.is_root,
    ),
    SetupQuestion(
        name="addresses",
        option="--address",
        text=mark("Addresses to listen on"),
        help=mark(
            "IP addresses of this machine, with spaces between them; 0.0.0.0 and :: are all."
        ),
        default=all_addresses,
        check=check_addresses,
    ),
    SetupQuestion(
        name="tls",
        option="--tls",
        text=mark("Certificate"),
        choices=(
            (
                "acme",
                mark("Get it from Let's Encrypt; the server renews it by itself."),
            ),
            ("self-signed", mark("Make a self-signed one: mail programs warn about it.")),
            ("files", mark("Use files that another program renews, like certbot.")),
        ),
        default=lambda _answers, _machine: "acme",
    ),
    SetupQuestion(
        name="acme_contact",
        option="--acme-contact",
        text=mark("Mail address for the authority"),
        help=mark("It gets messages about the account there."),
        default=lambda answers, _: f"postmaster@{answers['domain']}",
        check=check_contact,
        condition=lambda answers, _: answers.get("tls") == "acme",
    ),
    SetupQuestion(
        name="acme_terms",
        option="--acme-agree-terms",
        text=mark("Terms of service of the authority"),
        help=mark("They are at https://letsencrypt.org/repository/."),
        choices=(
            ("agree", mark("I agree to them.")),
            ("decline", mark("I do not agree; a self-signed certificate is made.")),
        ),
        default=lambda _answers, _machine: "decline",
        condition=lambda answers, _: answers.get("tls") == "acme",
    ),
    SetupQuestion(
        name="certificate",
        option="--certificate",
        text=mark("PEM file of the certificate and its chain"),
        check=check_file,
        condition=lambda answers, _: answers.get("tls") == "files",
    ),
    SetupQuestion(
        name="key",
        option="--key",
        text=mark("PEM file of the private key"),
        check=check_key,
        condition=lambda answers, _: answers.get("tls") == "files",
    ),
    SetupQuestion(
        name="sending",
        option="--smarthost",
        text=mark("Sending"),
        choices=(
            ("direct", mark("Send mail directly to the servers of its recipients.")),
            ("smarthost", mark("Send all mail through the server of a provider (smarthost).")),
        ),
        default=lambda _answers, _machine: "direct",
    ),
    SetupQuestion(
        name="smarthost_host",
        option="--smarthost",
        text=mark("Host name of the smarthost"),
        check=check_host,
        condition=lambda answers, _: answers.get("sending") == "smarthost",
    ),
    SetupQuestion(
        name="smarthost_port",
        option="--smarthost",
        text=mark("Port of the smarthost"),
        default=lambda _answers, _machine: "587",
        check=check_port,
        condition=lambda answers, _: answers.get("sending") == "smarthost",
    ),
    SetupQuestion(
        name="smarthost_login",
        option="--smarthost-login",
        text=mark("User name at the smarthost"),
        help=mark("Empty: it knows this server by its address."),
        optional=True,
        condition=lambda answers, _: answers.get("sending") == "smarthost",
    ),
    SetupQuestion(
        name="smarthost_password",
        option="--smarthost-password-file",
        text=mark("Password at the smarthost"),
        secret=True,
        condition=lambda answers, _: bool(answers.get("smarthost_login")),
    ),
    SetupQuestion(
        name="admin",
        option="--admin",
        text=mark("Address of the first account"),
        help=mark("It is an administrator, and gets the mail of postmaster@ and abuse@."),
        default=lambda answers, _: f"admin@{answers['domain']}",
        check=check_admin,
    ),
    SetupQuestion(
        name="password",
        option="--password-file",
        text=mark("Password of the first account"),
        help=mark("Empty: a password is made and shown once."),
        secret=True,
        optional=True,
        check=check_password,
    ),
    SetupQuestion(
        name="database",
        option="--database",
        text=mark("Database"),
        choices=(
            ("sqlite", mark("SQLite: a file in the data folder; nothing to install.")),
            ("postgresql", mark("PostgreSQL: for several servers with the same accounts.")),
        ),
        default=lambda _answers, _machine: "sqlite",
    ),
    SetupQuestion(
        name="database_url",
        option="--database",
        text=mark("Address of the PostgreSQL database"),
        help=mark("postgresql://user:password@host/name; the database must exist and be empty."),
        check=check_database,
        condition=lambda answers, _: answers.get("database") == "postgresql",
    ),
)
