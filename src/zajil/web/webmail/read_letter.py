"""Everything that the page of a message needs of its bytes, read at once."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.message.fields import read_fields, split_message
from zajil.read.invitation import CALENDARS, Invitation, find_invitation
from zajil.read.logo_question import LogoQuestion, read_logo_question
from zajil.read.receipt import Receipt, ReceiptRequest, read_receipt, read_request
from zajil.read.sender_proof import SenderProof, read_proof
from zajil.read.shown import ShownMessage, show_message
from zajil.read.unsubscribe import Unsubscribe, read_unsubscribe
from zajil.web.webmail.compose_reply import list_address
from zajil.web.webmail.shown_files import ShownFile, list_files


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLetter:
    """What stands in one message."""

    view: ShownMessage
    proof: SenderProof | None
    """What this server found out about the author; to be believed only of accepted mail."""
    logo: LogoQuestion | None
    """Whose logo it may show; to be believed only of accepted mail."""
    leave: Unsubscribe
    list_post: str
    """Where its mailing list takes messages; ``""``: it came from none."""
    event: tuple[str, Invitation] | None
    """An invitation, and the number of its part."""
    asks_receipt: ReceiptRequest | None
    """Who wants to know that it was read."""
    wanted_receipt: bool
    """Its author asked for receipts, whoever it was."""
    receipt: Receipt | None
    """It is a read receipt."""

    @property
    def files(self) -> list[ShownFile]:
        """Return its files; programs enclose an invitation twice, it is shown once."""
        number = self.event[0] if self.event is not None else None
        return [
            one
            for one in list_files(self.view.attachments)
            if number in (None, one.attachment.number)
            or one.attachment.content_type not in CALENDARS
        ]


def read_letter(message: bytes, hostname: str) -> ReadLetter:
    """Read a message.

    Args:
        message: all of it.
        hostname: the name of this server in Authentication-Results.
    """
    view = show_message(message)
    fields = read_fields(message[: split_message(message)[0]])
    author = view.senders[0].domain if len(view.senders) == 1 else ""
    has_event = b"BEGIN:VCALENDAR" in message or any(
        one.content_type in CALENDARS for one in view.attachments
    )
    return ReadLetter(
        view=view,
        proof=read_proof(fields, hostname, author),
        logo=read_logo_question(fields, hostname, author),
        leave=read_unsubscribe(fields, hostname),
        list_post=list_address(message),
        event=find_invitation(message) if has_event else None,
        asks_receipt=read_request(fields),
        wanted_receipt=any(one.name == b"disposition-notification-to" for one in fields),
        receipt=read_receipt(message),
    )
