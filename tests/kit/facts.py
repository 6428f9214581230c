"""What the check step knows of a mail, made from its bytes alone."""

from __future__ import annotations

from kit.mail import NOON_MS
from zajil.check.facts import MessageFacts
from zajil.config.options import LimitOptions
from zajil.core.address import parse_address
from zajil.message.fields import read_fields, split_message
from zajil.net.peer import Peer

PEER = Peer("192.0.2.1", 4711, "192.0.2.25:25")


def make_facts(
    message: bytes,
    *,
    smtputf8: bool = False,
    login: str | None = None,
    limits: LimitOptions | None = None,
) -> MessageFacts:
    """Make what the check step knows of a message from outside."""
    end, _ = split_message(message)
    header = message[:end]
    return MessageFacts(
        now_ms=NOON_MS,
        peer=PEER,
        claimed_name="mx.south.test",
        reverse_path=parse_address("sami@south.test"),
        recipients=(parse_address("amal@north.test"),),
        header=header,
        fields=read_fields(header),
        size=len(message),
        smtputf8=smtputf8,
        login=login,
        authserv_id="mx.north.test",
        limits=limits or LimitOptions(),
        body=message[end:],
    )
