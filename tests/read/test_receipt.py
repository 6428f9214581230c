"""Read receipts: who may ask for one, and that what is written can be read."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from zajil.core.address import parse_address
from zajil.message.fields import read_fields
from zajil.read.receipt import NewReceipt, read_receipt, read_request, write_receipt

ASKS = "Disposition-Notification-To: Noor <noor@south.test>\r\n"
PATH = "Return-Path: <Noor@south.test>\r\n"


def request(text: str) -> tuple[list[str], bool] | None:
    found = read_request(read_fields(text.encode()))
    if found is None:
        return None
    return [str(one) for one in found.addresses], found.is_expected


def test_a_message_asks_for_a_receipt() -> None:
    """RFC 8098 section 2.1: another address than the Return-Path is worth a warning."""
    assert request(PATH + ASKS) == (["noor@south.test"], True)
    assert request(ASKS) == (["noor@south.test"], False)
    other = ASKS.replace("noor@south", "spy@east")
    assert request(PATH + other) == (["spy@east.test"], False)


@pytest.mark.parametrize(
    "text",
    [
        PATH,
        "Return-Path: <>\r\n" + ASKS,
        ASKS + ASKS,
        "Disposition-Notification-To: nobody\r\n",
        "Disposition-Notification-To:" + ",".join([f" a{n}@b.test" for n in range(4)]) + "\r\n",
        ASKS + "List-Id: <tea.lists.test>\r\n",
        ASKS + "Precedence: Bulk\r\n",
        ASKS + "Auto-Submitted: auto-generated\r\n",
        ASKS + "Content-Type: multipart/report; boundary=x\r\n",
        ASKS + "Disposition-Notification-Options: x=required,1\r\n",
    ],
)
def test_lists_programs_and_reports_do_not_get_one(text: str) -> None:
    assert request(text) is None


@pytest.mark.parametrize(
    ("reader", "kind"),
    [
        ("amal@north.test", "message/disposition-notification"),
        ("سلمى@زاجل.test", "message/global-disposition-notification"),
    ],
)
def test_what_is_written_is_read(reader: str, kind: str) -> None:
    who = parse_address(reader)
    new = NewReceipt(
        reader=who,
        reader_name="Amal",
        recipients=(parse_address("noor@south.test"),),
        message_id="<rose@south.test>",
        references="<a@south.test> <rose@south.test>",
        subject="Read: Tea",
        text="Amal has displayed it.",
        now_ms=0,
        unique="abc",
        hostname="mx.north.test",
    )
    written = write_receipt(new)
    message = message_from_bytes(written, policy=default)
    assert message.get_content_type() == "multipart/report"
    assert f"message/{message.get_param('report-type')}" == kind
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", kind]
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<rose@south.test>"
    found = read_receipt(written)
    assert found is not None
    assert (found.message_id, found.recipient) == ("<rose@south.test>", who.unicode)
    assert (found.disposition, found.is_automatic) == ("displayed", False)
    assert read_receipt(written.replace(b"displayed\r\n", b"\r\n")) is None
    assert read_receipt(written.replace(b"multipart/report", b"multipart/mixed")) is None
    # It asks for none itself, whatever somebody adds to it.
    assert read_request(read_fields(ASKS.encode() + written)) is None
