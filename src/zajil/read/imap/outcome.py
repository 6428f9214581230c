"""What completes a command that cannot be done: the errors of the store as responses."""

from __future__ import annotations

from collections.abc import Awaitable

from zajil.imap.grammar import BadSyntax
from zajil.imap.response import Completion
from zajil.net.logger import get_logger
from zajil.read.imap.context import NO_MAILBOX, NO_PERMISSION, Context
from zajil.store.engine.errors import StoreError
from zajil.store.mail.access import NoRight
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.flags import TooManyKeywords
from zajil.store.mail.room import OverQuota

logger = get_logger()

UNAVAILABLE = Completion("NO", "try again later", "UNAVAILABLE")
# RFC 9051 section 7.1
TOO_MANY_SESSIONS = Completion("NO", "too many sessions of this account", "LIMIT")
NEEDS_APP_PASSWORD = Completion(
    "NO", "this account needs an app password, see its page in the webmail", "AUTHENTICATIONFAILED"
)


async def outcome(context: Context | None, work: Awaitable[Completion | None]) -> Completion | None:
    """Wait for the answer to a command; of an error, return what it means for the client.

    Args:
        context: the session; ``None``: nobody has logged in.
        work: gives the completion; ``None``: nothing is to be completed now.
    """
    try:
        return await work
    except BadSyntax as error:
        return error.completion
    except NoSuchMailbox:
        # The selected mailbox was deleted by somebody else: the report ends with BYE.
        if context is not None and context.view is not None:
            context.view.changed = True
        return NO_MAILBOX
    except TooManyKeywords:
        return Completion("NO", "the mailbox has too many different keywords", "LIMIT")
    except OverQuota as error:
        return Completion("NO", str(error), "OVERQUOTA")  # RFC 9208 section 4.3.1
    except NoRight:
        return NO_PERMISSION
    except StoreError as error:
        logger.error("IMAP: the store cannot answer", reason=str(error))
        return UNAVAILABLE
