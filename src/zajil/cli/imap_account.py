"""The options of commands that log in at another IMAP server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.errors import WrongUsage

if TYPE_CHECKING:
    from zajil.operations.moving.imap_account import ImapAccount

PASSWORD_VARIABLE = "ZAJIL_IMAP_PASSWORD"  # noqa: S105, its name

Host = Annotated[
    str, typer.Argument(metavar="HOST[:PORT]", help="The other server, for example imap.gmail.com.")
]
User = Annotated[
    str, typer.Option("--user", metavar="NAME", help="Login name there, often the address.")
]
ServerPassword = Annotated[
    Path | None,
    typer.Option(
        help=f"File whose first line is the password there. Default: {PASSWORD_VARIABLE}, or it "
        "is asked for.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="File with an OAuth 2 access token, used in place of a password (XOAUTH2)."),
]
Tls = Annotated[
    str,
    typer.Option(
        help="implicit (port 993), starttls (port 143), or none, which only this computer accepts."
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(help="PEM file of the authority of its certificate. Default: the system's."),
]
Pin = Annotated[
    str,
    typer.Option(
        "--certificate-sha256",
        metavar="HEX",
        help="Accept exactly the certificate with this SHA-256, whoever signed it.",
    ),
]


def read_imap_account(
    host: str,
    user: str,
    password_file: Path | None,
    token_file: Path | None,
    tls: str,
    ca_file: Path | None,
    pin: str,
) -> ImapAccount:
    """Return what the options say; ask for the password where no option has it.

    Raises:
        WrongUsage: an option cannot be used, or there is no password and nobody to ask.
        BadCertificate: ``ca_file`` holds no certificate.
    """
    from zajil.cli.account import read_password
    from zajil.net.imap_connection import ImapEndpoint, Security
    from zajil.operations.moving.imap_account import ImapAccount
    from zajil.tls.context import client_context

    known = {one.value: one for one in Security}
    if tls not in known:
        raise WrongUsage(f"--tls {tls}: use {', '.join(known)}")
    name, port = _divide(host, 993 if tls == Security.IMPLICIT.value else 143)
    fingerprint = pin.replace(":", "").lower()
    if pin and (len(fingerprint) != 64 or set(fingerprint) - set("0123456789abcdef")):
        raise WrongUsage("--certificate-sha256: use 64 hexadecimal digits")
    endpoint = ImapEndpoint(
        host=name,
        port=port,
        security=known[tls],
        context=client_context(ca_file, verify=not pin),
        pin=fingerprint,
    )
    token = read_password(token_file, "the token")
    password = "" if token else _password(password_file, user, name)
    return ImapAccount(endpoint=endpoint, login=user, password=password, token=token or "")


def _divide(host: str, usual: int) -> tuple[str, int]:
    name, _, port = host.rpartition(":")
    if not name or (":" in name and not name.startswith("[")):
        return host.strip("[]"), usual
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:9]) < 65536:
        raise WrongUsage(f"{host}: use HOST or HOST:PORT")
    return name.strip("[]"), int(port)


def _password(file: Path | None, user: str, host: str) -> str:
    from zajil.cli.account import read_password

    found = read_password(file, "the password") or os.environ.get(PASSWORD_VARIABLE)
    if found:
        return found
    if not sys.stdin.isatty():
        raise WrongUsage(f"no password: use --password-file or {PASSWORD_VARIABLE}")
    from getpass import getpass

    return getpass(f"Password of {user} at {host}: ")
