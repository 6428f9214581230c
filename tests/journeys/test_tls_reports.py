"""One server reports to another how the encryption of its connections went."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message

_SECONDS = 60.0


def wait_for(look: Callable[[], list[Any]]) -> list[Any]:
    """Return what is found, as soon as anything is."""
    until = time.monotonic() + _SECONDS
    while not (found := look()) and time.monotonic() < until:
        time.sleep(1)
    return found


def test_a_report_is_sent_and_read(north: LabDomain, south: LabDomain) -> None:
    account, to = north.accounts[0], south.accounts[0]
    message = (
        f"From: {account.address}\r\nTo: {to.address}\r\nSubject: tls counted\r\n\r\nHello.\r\n"
    )
    with north.submission(account) as client:
        client.sendmail(account.address, [to.address], message)
    with south.imap(to) as reader:
        wait_for_message(reader, "SUBJECT", '"tls counted"')

    def send() -> list[Any]:
        sent = north.command("tls", "reports", "send", "--now")["sent"]
        return [one for one in sent if one["domain"] == south.ascii_domain]

    (sent,) = wait_for(send)  # the workers write what they counted every ten seconds
    assert sent["recipients"] == [f"tls-reports@{south.ascii_domain}"]
    assert ": connections: " in sent["outcome"]
    report = wait_for(lambda: south.command("tls", "reports")["reports"])[0]
    assert report["domain"] == south.ascii_domain
    assert report["is_proven"]
    assert report["messages"] == report["passed"] > 0
    shown = south.command("tls", "reports", "show", str(report["id"]))["report"]
    assert [one["type"] for one in shown["policies"]] == ["no-policy-found"]
