"""The questions of ``zajil setup``, the same on a terminal, as options and in the browser.

A question has a name, a text, a default that is found on the machine, and a check that returns the
answer as it is kept or says what is wrong with it. ``plan_of`` makes a plan of all answers.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from zajil.config.kinds import DATABASE_SCHEMES
from zajil.config.places import CONFIGURATION_FOLDER, DATA_FOLDER, USER, is_system_package
from zajil.core.address import parse_address
from zajil.core.domain import to_ascii
from zajil.core.errors import Invalid
from zajil.net.own_addresses import has_ipv6
from zajil.net.port_owner import can_listen
from zajil.operations.credentials import LONGEST, SHORTEST, BadPassword
from zajil.operations.run import find_user
from zajil.operations.setup_plan import CONFIGURATION_NAME, SetupPlan, Smarthost, require_public
from zajil.tls.context import server_context
from zajil.tracking.check_names import mark

Answers = Mapping[str, str]
"""Name of a question to the answer as it is kept; ``""``: none was wanted."""


class BadAnswer(Invalid):
    """An answer cannot be used; the text is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is found on this machine; the defaults depend on it."""

    is_root: bool
    is_package: bool
    """Installed by the package of the system, which brings folders and a user."""
    has_ipv6: bool
    home: Path

    @property
    def has_user(self) -> bool:
        """Whether the user that servers usually run as exists."""
        try:
            return bool(pwd.getpwnam(USER))
        except KeyError:
            return False


def this_machine() -> Machine:
    """Look at this machine."""
    return Machine(os.geteuid() == 0, is_system_package(), has_ipv6(), Path.home())


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
        raise BadAnswer("an answer is needed")
    if question.choices and text not in [value for value, _ in question.choices]:
        raise BadAnswer(f"choose {' or '.join(value for value, _ in question.choices)}")
    return question.check(text, answers)


def questions_for(answers: Answers, machine: Machine) -> list[SetupQuestion]:
    """Return the questions that are asked, as far as the answers so far tell."""
    return [one for one in QUESTIONS if one.condition(answers, machine)]


def plan_of(answers: Answers, data_dir: Path | None = None, login: str | None = None) -> SetupPlan:
    """Return the plan that checked answers lead to.

    Args:
        answers: of ``check_answer``; what was not asked may be missing.
        data_dir: folder for mail; ``None``: the usual one for the folder.
        login: login name of the first account; ``None``: derived from its address.
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
        smarthost=smarthost,
    )


def _check_domain(text: str, _answers: Answers) -> str:
    return require_public(text, "a mail domain", "example.org")


def _check_hostname(text: str, _answers: Answers) -> str:
    return require_public(text, "a mail server", "mail.example.org")


def _default_folder(_answers: Answers, machine: Machine) -> str:
    if machine.is_root:
        return str(CONFIGURATION_FOLDER)
    return str(machine.home / "zajil")


def _check_folder(text: str, _answers: Answers) -> str:
    folder = Path(text).expanduser().absolute()
    if (folder / CONFIGURATION_NAME).exists():
        raise BadAnswer(f"{folder} already contains a server: {CONFIGURATION_NAME} is there")
    if folder.exists() and not folder.is_dir():
        raise BadAnswer(f"{folder} is not a folder")
    return str(folder)


def _check_user(text: str, _answers: Answers) -> str:
    find_user(text)
    return text


def _all_addresses(_answers: Answers, machine: Machine) -> str:
    everywhere = [IPv4Address(0), *([IPv6Address(0)] if machine.has_ipv6 else [])]
    return " ".join(str(one) for one in everywhere)


def _check_addresses(text: str, _answers: Answers) -> str:
    found = []
    for word in text.replace(",", " ").split():
        try:
            address = str(ip_address(word.strip("[]")))
        except ValueError:
            raise BadAnswer(f"{word} is not an IP address") from None
        error = can_listen(address, 0)
        if error is not None:
            raise BadAnswer(f"{address} is not an address of this machine: {error.strerror}")
        found.append(address)
    return " ".join(dict.fromkeys(found))


def _check_file(text: str, _answers: Answers) -> str:
    path = Path(text).expanduser().absolute()
    try:
        path.read_bytes()
    except OSError as error:
        raise BadAnswer(f"cannot read {path}: {error.strerror}") from None
    return str(path)


def _check_key(text: str, answers: Answers) -> str:
    path = _check_file(text, answers)
    server_context(Path(answers["certificate"]), Path(path))
    return path


def _check_host(text: str, _answers: Answers) -> str:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return to_ascii(text)


def _check_port(text: str, _answers: Answers) -> str:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise BadAnswer("a port is a number from 1 to 65535")
    return str(int(text))


def _check_admin(text: str, answers: Answers) -> str:
    address = parse_address(text if "@" in text else f"{text}@{answers['domain']}")
    if address.domain != answers["domain"]:
        raise BadAnswer(f"the first account must be in the domain {answers['domain']}")
    return address.unicode


def _check_password(text: str, _answers: Answers) -> str:
    if not SHORTEST <= len(text) <= LONGEST:
        raise BadPassword(f"a password must have {SHORTEST} to {LONGEST} characters")
    return text


def _check_database(text: str, _answers: Answers) -> str:
    if not text.startswith(DATABASE_SCHEMES):
        raise BadAnswer("the address of a PostgreSQL database is postgresql://user@host/name")
    return text


QUESTIONS: Sequence[SetupQuestion] = (
    SetupQuestion(
        name="domain",
        option="DOMAIN",
        text=mark("Mail domain"),
        help=mark("The part of your addresses after the @, like example.org."),
        check=_check_domain,
    ),
    SetupQuestion(
        name="hostname",
        option="--hostname",
        text=mark("Host name of this server"),
        help=mark("Other servers and mail programs connect to this name."),
        default=lambda answers, _: f"mail.{answers['domain']}",
        check=_check_hostname,
    ),
    SetupQuestion(
        name="folder",
        option="--dir",
        text=mark("Folder for the configuration"),
        default=_default_folder,
        check=_check_folder,
        condition=lambda _, machine: not machine.is_package,
    ),
    SetupQuestion(
        name="user",
        option="--user",
        text=mark("System user that the server runs as"),
        help=mark("For instance zajil; adduser makes one."),
        default=lambda _, machine: USER if machine.has_user else "",
        check=_check_user,
        condition=lambda _, machine: machine.is_root,
    ),
    SetupQuestion(
        name="addresses",
        option="--address",
        text=mark("Addresses to listen on"),
        help=mark(
            "IP addresses of this machine, with spaces between them; 0.0.0.0 and :: are all."
        ),
        default=_all_addresses,
        check=_check_addresses,
    ),
    SetupQuestion(
        name="tls",
        option="--tls",
        text=mark("Certificate"),
        choices=(
            ("self-signed", mark("Make a self-signed one: mail programs warn about it.")),
            ("files", mark("Use files that another program renews, like certbot.")),
        ),
        default=lambda _answers, _machine: "self-signed",
    ),
    SetupQuestion(
        name="certificate",
        option="--certificate",
        text=mark("PEM file of the certificate and its chain"),
        check=_check_file,
        condition=lambda answers, _: answers.get("tls") == "files",
    ),
    SetupQuestion(
        name="key",
        option="--key",
        text=mark("PEM file of the private key"),
        check=_check_key,
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
        check=_check_host,
        condition=lambda answers, _: answers.get("sending") == "smarthost",
    ),
    SetupQuestion(
        name="smarthost_port",
        option="--smarthost",
        text=mark("Port of the smarthost"),
        default=lambda _answers, _machine: "587",
        check=_check_port,
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
        check=_check_admin,
    ),
    SetupQuestion(
        name="password",
        option="--password-file",
        text=mark("Password of the first account"),
        help=mark("Empty: a password is made and shown once."),
        secret=True,
        optional=True,
        check=_check_password,
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
        check=_check_database,
        condition=lambda answers, _: answers.get("database") == "postgresql",
    ),
)
