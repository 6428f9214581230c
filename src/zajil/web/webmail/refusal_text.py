"""Why a message was not sent, for the person who wrote it."""

from __future__ import annotations

from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.tracking.journey import readable
from zajil.web.page import Visitor


def refusal_text(outcome: NotAccepted, visitor: Visitor) -> str:
    """Return a sentence in the language of the visitor."""
    return _template(outcome.reason, visitor) % _values(outcome, visitor)


def _template(reason: RefusalReason, visitor: Visitor) -> str:
    gettext = visitor.language.gettext
    match reason:
        case RefusalReason.NO_SUCH_RECIPIENT:
            return gettext("%(address)s does not exist.")
        case RefusalReason.SUSPENDED:
            return gettext("%(address)s does not accept messages at the moment. Try again later.")
        case RefusalReason.MAILBOX_FULL:
            return gettext("The mailbox of %(address)s is full. Try again later.")
        case RefusalReason.TOO_MANY_RECIPIENTS:
            return gettext("The message has too many recipients.")
        case RefusalReason.REJECTED_BY_RECIPIENT:
            return gettext("The recipient rejects the message: %(detail)s")
        case RefusalReason.NOT_YOUR_SENDER | RefusalReason.NOT_YOUR_FROM:
            return gettext("You may not send from this address.")
        case RefusalReason.SENT_TOO_MUCH:
            return gettext("You have reached your sending limit. Send again after %(time)s.")
        case RefusalReason.TOO_LARGE:
            return gettext("The message is too large.")
        case RefusalReason.CANNOT_TRAVEL:
            return gettext("The message cannot be sent in this form: %(detail)s")
        case RefusalReason.LOOKS_LIKE_ABUSE:
            return gettext("The message looks like spam or malware. Ask your postmaster.")
        case RefusalReason.UNWANTED | RefusalReason.LOOP:
            return gettext("The checks of this server refused the message.")
        case RefusalReason.NO_SPACE:
            return gettext("The server has no space for new messages. Try again later.")
        case RefusalReason.CHECK_LATER | RefusalReason.DNS_LATER | RefusalReason.UNAVAILABLE:
            return gettext("The server cannot accept the message at the moment. Try again later.")
        case _:
            return gettext("The message was not accepted.")


def _values(outcome: NotAccepted, visitor: Visitor) -> dict[str, str]:
    address, until_ms = outcome.recipient, outcome.until_ms
    return {
        "address": "" if address is None else readable(str(address)),
        "detail": outcome.detail,
        "time": "" if until_ms is None else visitor.language.moment(until_ms, visitor.zone),
    }
