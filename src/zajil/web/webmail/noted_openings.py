"""Pages that show mail of a mailbox: if it is another account's, its owner is told who looked."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from zajil.core.ids import MailboxId
from zajil.login.account import Account
from zajil.operations.openings import Openings
from zajil.web.access import ForMembers, actor_of
from zajil.web.page import Visitor
from zajil.web.webmail.mailboxes import number_in_path


def noted(openings: Openings, handler: ForMembers) -> ForMembers:
    """Wrap the handler of a page whose address has a ``mailbox_id``.

    What is refused or not found is not recorded: the handler decides who may read.
    """

    async def note(request: Request, visitor: Visitor, account: Account) -> Response:
        response = await handler(request, visitor, account)
        if response.status_code < 400:
            mailbox_id = MailboxId(number_in_path(request, "mailbox_id"))
            await openings.note_mailbox(actor_of(request, account), mailbox_id)
        return response

    return note
