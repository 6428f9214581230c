"""Every mail leaves a journey at both ends, joined by the id in the 250."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import httpx

from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message
from zajil.config.load import load_configuration
from zajil.operations.journey import find_mails, show_journey
from zajil.operations.run import open_admin_store


def send(writer_domain: LabDomain, reader_domain: LabDomain) -> str:
    """Send a letter, wait until it has arrived; give its Message-ID."""
    writer, reader = writer_domain.accounts[1], reader_domain.accounts[0]
    message_id = f"<{uuid.uuid4()}@stories.test>"
    letter = (
        f"From: {writer.address}\r\nTo: {reader.address}\r\nSubject: a story\r\n"
        f"Message-ID: {message_id}\r\n\r\nonce upon a time\r\n"
    )
    with writer_domain.submission(writer) as client:
        client.sendmail(writer.address, [reader.address], letter)
    with reader_domain.imap(reader) as mailbox:
        wait_for_message(mailbox, "HEADER", "Message-ID", message_id)
    return message_id


def journey(domain: LabDomain, message_id: str) -> dict[str, Any]:
    """Give what `zajil journey show` prints, without starting a command for each."""
    with open_admin_store(load_configuration(Path(domain.config))) as store:
        (found,) = store.read_now(lambda conn: find_mails(conn, message_id=message_id))["mails"]
        return store.read_now(lambda conn: show_journey(conn, found["mail_id"]))


def names(shown: dict[str, Any]) -> list[str]:
    return [event["name"] for event in shown["events"]]


def test_both_ends_are_joined(north: LabDomain, south: LabDomain) -> None:
    message_id = send(north, south)
    theirs = journey(south, message_id)
    # The receiving side commits before its 250, the sending side after it: follow until it has.
    ours = journey(north, message_id)
    while ours["recipients"][0]["state"] == "waiting":
        ours = journey(north, message_id)
    assert {"session.tls", "session.login", "mail.accepted", "route.found", "deliver.attempt"} <= (
        set(names(ours))
    )
    assert {"session.opened", "session.tls", "mail.accepted", "deliver.filed"} <= set(names(theirs))
    (delivered,) = [event for event in ours["events"] if event["name"] == "deliver.delivered"]
    joined = re.search(r"queued as (\S+)", delivered["reply"])
    assert joined
    assert joined[1] == theirs["mail_id"]
    assert ours["recipients"][0]["state"] == theirs["recipients"][0]["state"] == "delivered"


def test_no_secret_is_in_a_journey(north: LabDomain, south: LabDomain) -> None:
    message_id = send(north, south)
    shown = str(journey(north, message_id))
    assert north.accounts[1].password not in shown
    assert "once upon a time" not in shown


def test_the_commands_find_and_show_it(north: LabDomain, south: LabDomain) -> None:
    message_id = send(north, south)
    shown = journey(north, message_id)
    sender, recipient = north.accounts[1].address, south.accounts[0].address
    mails = north.command("journey", "find", "--to", recipient, "--from", sender)["mails"]
    assert mails[0]["mail_id"] == shown["mail_id"]
    assert mails == sorted(mails, key=lambda mail: mail["at_ms"], reverse=True)
    printed = north.command("journey", "show", shown["mail_id"])
    assert printed["message_id"].strip("<>") == message_id.strip("<>")
    told = json.loads(json.dumps(shown["events"]))
    assert printed["events"][: len(told)] == told


def test_the_labs_page_puts_both_ends_side_by_side(
    lab: LabProcess, north: LabDomain, south: LabDomain
) -> None:
    message_id = send(north, south)
    ours, theirs = journey(north, message_id), journey(south, message_id)
    front = httpx.get(lab.described["web"]).text
    assert f"/journey/{ours['mail_id']}" in front
    page = httpx.get(f"{lab.described['web']}journey/{ours['mail_id']}").text
    assert page.index(ours["mail_id"]) < page.index(theirs["mail_id"])
