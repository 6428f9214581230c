"""The answers to the questions of ``zajil setup``: what is found on the machine, and the checks.

A check takes what was typed and the answers before it, and returns the answer as it is kept. It
raises a ``ZajilError`` whose text is one sentence for the operator.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from zajil.config.kinds import DATABASE_SCHEMES
from zajil.config.places import CONFIGURATION_FOLDER, USER, is_system_package
from zajil.core.address import parse_address
from zajil.core.domain import to_ascii, to_unicode
from zajil.core.errors import Invalid
from zajil.net.own_addresses import has_ipv6
from zajil.net.port_owner import can_listen
from zajil.operations.credentials import check_strength, prepare_usable
from zajil.operations.run import find_user
from zajil.operations.setup_plan import CONFIGURATION_NAME, require_public
from zajil.tls.context import server_context
from zajil.tracking.check_names import mark

Answers = Mapping[str, str]
"""Name of a question to the answer as it is kept; ``""``: none was wanted."""


class BadAnswer(Invalid):
    """An answer cannot be used.

    Args:
        text: one sentence for the operator, a key of the catalogs.
        facts: fill its places.
    """

    def __init__(self, text: str, **facts: str) -> None:
        sentence = text.format(**facts).removesuffix(".")
        # On the command line, an error is not a sentence of its own.
        super().__init__(sentence if text[0] == "{" else sentence[0].lower() + sentence[1:])
        self.text = text
        self.facts: Mapping[str, str] = facts


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


def check_domain(text: str, _answers: Answers) -> str:
    """Return the ASCII form of a mail domain."""
    return require_public(text, "a mail domain", "example.org")


def check_hostname(text: str, _answers: Answers) -> str:
    """Return the ASCII form of a host name."""
    return require_public(text, "a mail server", "mail.example.org")


def default_folder(_answers: Answers, machine: Machine) -> str:
    """Return the usual folder for the configuration."""
    if machine.is_root:
        return str(CONFIGURATION_FOLDER)
    return str(machine.home / "zajil")


def check_folder(text: str, _answers: Answers) -> str:
    """Return the whole path of a folder that holds no server yet."""
    folder = Path(text).expanduser().absolute()
    if (folder / CONFIGURATION_NAME).exists():
        raise BadAnswer(
            mark("{folder} already contains a server: {name} is there."),
            folder=str(folder),
            name=CONFIGURATION_NAME,
        )
    if folder.exists() and not folder.is_dir():
        raise BadAnswer(mark("{folder} is not a folder."), folder=str(folder))
    return str(folder)


def check_user(text: str, _answers: Answers) -> str:
    """Return the name of a user of this machine."""
    find_user(text)
    return text


def all_addresses(_answers: Answers, machine: Machine) -> str:
    """Return the addresses that stand for all of this machine."""
    everywhere = [IPv4Address(0), *([IPv6Address(0)] if machine.has_ipv6 else [])]
    return " ".join(str(one) for one in everywhere)


def check_addresses(text: str, _answers: Answers) -> str:
    """Return IP addresses of this machine, with spaces between them."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            address = str(ip_address(word.strip("[]")))
        except ValueError:
            raise BadAnswer(mark("{word} is not an IP address."), word=word) from None
        error = can_listen(address, 0)
        if error is not None:
            raise BadAnswer(
                mark("{address} is not an address of this machine: {error}."),
                address=address,
                error=error.strerror or str(error),
            )
        found.append(address)
    return " ".join(dict.fromkeys(found))


def check_file(text: str, _answers: Answers) -> str:
    """Return the whole path of a file that can be read."""
    path = Path(text).expanduser().absolute()
    try:
        path.read_bytes()
    except OSError as error:
        raise BadAnswer(
            mark("Cannot read {path}: {error}."),
            path=str(path),
            error=error.strerror or str(error),
        ) from None
    return str(path)


def check_key(text: str, answers: Answers) -> str:
    """Return the whole path of a key that fits the certificate."""
    path = check_file(text, answers)
    server_context(Path(answers["certificate"]), Path(path))
    return path


def check_host(text: str, _answers: Answers) -> str:
    """Return a host name in ASCII form, or an address."""
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return to_ascii(text)


def check_port(text: str, _answers: Answers) -> str:
    """Return a port."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise BadAnswer(mark("A port is a number from 1 to 65535."))
    return str(int(text))


def check_admin(text: str, answers: Answers) -> str:
    """Return an address of the domain; a local part is enough."""
    address = parse_address(text if "@" in text else f"{text}@{answers['domain']}")
    if address.domain != answers["domain"]:
        raise BadAnswer(
            mark("The first account must be in the domain {domain}."),
            domain=to_unicode(answers["domain"]),
        )
    return address.unicode


def check_contact(text: str, _answers: Answers) -> str:
    """Return a mail address that an authority can use."""
    address = parse_address(text)
    if not address.is_ascii:
        raise BadAnswer(mark("The authority needs an address in ASCII."))
    return str(address)


def check_password(text: str, answers: Answers) -> str:
    """Return a password that a person may choose."""
    check_strength(text, [answers.get("admin", "")])
    prepare_usable(text)
    return text


def check_database(text: str, _answers: Answers) -> str:
    """Return the address of a PostgreSQL database."""
    if not text.startswith(DATABASE_SCHEMES):
        raise BadAnswer(
            mark("The address of a PostgreSQL database is {example}."),
            example="postgresql://user@host/name",
        )
    return text
