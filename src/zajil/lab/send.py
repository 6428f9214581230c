"""`zajil lab --send`: sends a message from the first domain to each other and waits for delivery.

It uses the clients of the standard library over real sockets: submission with STARTTLS, and IMAP.
"""

from __future__ import annotations

import imaplib
import smtplib
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from rich.console import Console

from zajil.core.address import Address
from zajil.core.service import Service
from zajil.lab.journeys import Half, LabJourneys
from zajil.lab.running import RunningDomain
from zajil.tracking.story import tell_story

_WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class SampleMessage:
    """One message that was sent."""

    to: Address
    reader: RunningDomain
    """The domain whose mailbox it must reach."""
    message_id: str


def send_messages(
    domains: Sequence[RunningDomain], journeys: LabJourneys, tls: ssl.SSLContext, console: Console
) -> bool:
    """Send, follow, print the journeys.

    Args:
        domains: the first one's second account writes, the first accounts of the others read.
        journeys: of the same domains.
        tls: trusts the lab's authority.
        console: where the journeys are printed.

    Returns:
        Whether every message was delivered to its mailbox.
    """
    letters = [_send(domains[0], reader, tls) for reader in domains[1:]]
    arrived = [_has_arrived(letter, tls) for letter in letters]
    for letter, there in zip(letters, arrived, strict=True):
        for found in journeys.find(letter.message_id)[:1]:
            print_journey(journeys.halves(found.mail.mail_id), console)
        verdict = "was delivered to the mailbox"
        if not there:
            verdict = f"was not delivered within {_WAIT_SECONDS:.0f} s"
        console.print(f"\nThe message to {letter.to.unicode} {verdict}.", highlight=False)
    return all(arrived)


def print_journey(halves: Sequence[Half], console: Console) -> None:
    """Print a journey, one server after the other."""
    for half in halves:
        console.print(f"\n[bold]{half.domain}[/]  {half.journey.mail_id}", highlight=False)
        for chapter in tell_story(half.journey):
            console.print(f"  {chapter.stage.value}", style="cyan", highlight=False)
            for step in chapter.steps:
                console.print(
                    f"    {step.sentence.plain()}", highlight=False, markup=False, soft_wrap=True
                )


def _send(writer: RunningDomain, reader: RunningDomain, tls: ssl.SSLContext) -> SampleMessage:
    who, to = writer.plan.accounts[1], reader.plan.accounts[0].address
    message = EmailMessage()
    message["From"], message["To"] = who.address.unicode, to.unicode
    message["Subject"] = "A first message, رسالة أولى"
    message["Message-ID"] = f"<{time.time_ns():x}@{writer.plan.ascii_domain}>"
    message.set_content("The pigeon has found the way.\nوجد الزاجل طريقه.\n")
    host, port = split_address(writer.services[Service.SUBMISSION])
    with smtplib.SMTP(host, port, local_hostname="localhost", timeout=_WAIT_SECONDS) as client:
        client.starttls(context=tls)
        client.login(who.login, writer.passwords[who.login])
        client.send_message(message, str(who.address), [str(to)])
    return SampleMessage(to, reader, str(message["Message-ID"]))


def _has_arrived(letter: SampleMessage, tls: ssl.SSLContext) -> bool:
    who = letter.reader.plan.accounts[0]
    host, port = split_address(letter.reader.services[Service.IMAPS])
    deadline = time.monotonic() + _WAIT_SECONDS
    with imaplib.IMAP4_SSL(host, port, ssl_context=tls, timeout=_WAIT_SECONDS) as client:
        client.login(who.login, letter.reader.passwords[who.login])
        while time.monotonic() < deadline:
            client.select("INBOX", readonly=True)
            _, found = client.search(None, "HEADER", "Message-ID", f'"{letter.message_id}"')
            if found and found[0]:
                return True
            time.sleep(_LOOK_SECONDS)
    return False


def split_address(text: str) -> tuple[str, int]:
    """``127.1.0.1:587`` as the arguments that clients take."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
