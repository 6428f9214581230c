"""Mail programs that we did not write, each as one function: hand in this file as that account.

Each function gives the program's own words and whether it says that the mail went out; none of
them raises on a refusal. A program that is not installed skips the test that asks for it.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kit.foreign import need_node_packages, need_program, need_swaks_with_tls

_SECONDS = 100.0
"""A guard against a program that hangs; two cores may be busy with other tests."""
_NAME = "client.test"


@dataclass(frozen=True, slots=True)
class Order:
    """What a client is told to do."""

    host: str
    port: int
    implicit_tls: bool
    """TLS from the first byte (RFC 8314); else STARTTLS, and never without."""
    ca_file: Path
    login: str
    password: str
    sender: str
    recipient: str
    letter: Path
    """A whole message with CRLF."""
    mechanism: str = "PLAIN"
    """Of SASL; only msmtp is told, the others choose by themselves."""

    def but(self, **changes: str | Path) -> Order:
        """Return the same order with other words in it."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def needs_utf8(self) -> bool:
        """Whether an address is not ASCII, so that SMTPUTF8 is needed (RFC 6531)."""
        return not (self.sender + self.recipient).isascii()


@dataclass(frozen=True, slots=True)
class Told:
    """What the program said."""

    went_out: bool
    words: str


Client = Callable[[Order], Told]


def smtplib_sends(order: Order) -> Told:
    """Send with Python's own library."""
    tls = ssl.create_default_context(cafile=str(order.ca_file))
    options = ["SMTPUTF8", "BODY=8BITMIME"] if order.needs_utf8 else ["BODY=8BITMIME"]
    try:
        with _connect(order, tls) as client:
            client.login(order.login, order.password)
            client.sendmail(order.sender, [order.recipient], order.letter.read_bytes(), options)
    except (smtplib.SMTPException, OSError) as error:
        return Told(False, repr(error))
    return Told(True, "")


def _connect(order: Order, tls: ssl.SSLContext) -> smtplib.SMTP:
    where = (order.host, order.port, _NAME, _SECONDS)
    if order.implicit_tls:
        host, port, name, seconds = where
        return smtplib.SMTP_SSL(host, port, name, timeout=seconds, context=tls)
    client = smtplib.SMTP(*where)
    client.starttls(context=tls)
    return client


_AIOSMTPLIB = """
import asyncio, json, ssl, sys
import aiosmtplib

async def send(order):
    tls = ssl.create_default_context(cafile=order["ca_file"])
    where = dict(hostname=order["host"], port=order["port"], local_hostname=order["name"])
    secure = dict(use_tls=order["implicit_tls"], start_tls=not order["implicit_tls"])
    async with aiosmtplib.SMTP(**where, **secure, tls_context=tls) as client:
        await client.login(order["login"], order["password"])
        with open(order["letter"], "rb") as letter:
            options = ["SMTPUTF8"] if order["utf8"] else []
            who = (order["sender"], [order["recipient"]])
            await client.sendmail(*who, letter.read(), mail_options=options)

asyncio.run(send(json.loads(sys.argv[1])))
"""


def aiosmtplib_sends(order: Order) -> Told:
    """Send with aiosmtplib, in a process: it leaves a connection open when it is refused."""
    return _run(sys.executable, "-c", _AIOSMTPLIB, _as_json(order))


def curl_sends(order: Order) -> Told:
    """Send with curl; it tells SMTPUTF8 by itself where an address needs it."""
    scheme = "smtps" if order.implicit_tls else "smtp"
    return _run(
        *[need_program("curl"), "--silent", "--show-error", "--verbose", "--ssl-reqd"],
        *["--cacert", str(order.ca_file), f"{scheme}://{order.host}:{order.port}/{_NAME}"],
        *["--mail-from", order.sender, "--mail-rcpt", order.recipient],
        *["--upload-file", str(order.letter), "--user", f"{order.login}:{order.password}"],
    )


def swaks_sends(order: Order) -> Told:
    """Send with swaks."""
    # It ends the last line itself.
    letter = order.letter.with_suffix(".swaks")
    letter.write_bytes(order.letter.read_bytes().removesuffix(b"\r\n"))
    return _run(
        *[need_swaks_with_tls(), "--server", order.host, "--port", str(order.port)],
        *["--tls-on-connect" if order.implicit_tls else "--tls", "--tls-verify"],
        *["--tls-ca-path", str(order.ca_file), "--helo", _NAME, "--auth", "PLAIN"],
        *["--auth-user", order.login, "--auth-password", order.password],
        *["--from", order.sender, "--to", order.recipient, "--data", f"@{letter}"],
        "--suppress-data",
    )


def msmtp_sends(order: Order) -> Told:
    """Send with msmtp."""
    msmtp = need_program("msmtp")
    configuration = order.letter.with_suffix(".msmtprc")
    starttls = "off" if order.implicit_tls else "on"
    configuration.write_text(
        f"account default\nhost {order.host}\nport {order.port}\ntls on\n"
        f"tls_starttls {starttls}\ntls_trust_file {order.ca_file}\nauth {order.mechanism.lower()}\n"
        f'user {order.login}\npassword "{order.password}"\nfrom {order.sender}\ndomain {_NAME}\n'
    )
    configuration.chmod(0o600)
    letter = order.letter.read_bytes().replace(b"\r\n", b"\n")
    return _run(msmtp, f"--file={configuration}", "--", order.recipient, given=letter)


_NODE = """
const order = JSON.parse(process.argv[1]);
const tls = { ca: require("fs").readFileSync(order.ca_file) };
require("nodemailer").createTransport({
  host: order.host, port: order.port, name: order.name, secure: order.implicit_tls,
  requireTLS: true, tls, auth: { user: order.login, pass: order.password },
}).sendMail({
  envelope: { from: order.sender, to: [order.recipient] }, raw: { path: order.letter },
}).then(
  (info) => { console.log(info.response); },
  (error) => { console.error(error.message); process.exitCode = 1; },
);
"""


def nodemailer_sends(order: Order) -> Told:
    """Send with nodemailer, under node."""
    node, modules = need_node_packages()
    return _run(node, "-e", _NODE, _as_json(order), environment={"NODE_PATH": str(modules)})


def _as_json(order: Order) -> str:
    words = {**asdict(order), "name": _NAME, "utf8": order.needs_utf8}
    return json.dumps(words, default=str)


def _run(*command: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> Told:
    # Programs take UTF-8 addresses only where the locale says that they are UTF-8.
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        timeout=_SECONDS,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
    )
    words = (done.stdout + done.stderr).decode(errors="replace")
    return Told(done.returncode == 0, words)


CLIENTS: Mapping[str, Client] = {
    "smtplib": smtplib_sends,
    "aiosmtplib": aiosmtplib_sends,
    "curl": curl_sends,
    "swaks": swaks_sends,
    "msmtp": msmtp_sends,
    "nodemailer": nodemailer_sends,
}

SPEAK_UTF8 = ("smtplib", "aiosmtplib", "curl", "nodemailer")
"""Those that know SMTPUTF8; swaks and msmtp do not."""
