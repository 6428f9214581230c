"""Why a message was not sent, for the person who wrote it."""

from __future__ import annotations

from zajil.accept.outcome import NotAccepted, Reason
from zajil.tracking.journey import readable
from zajil.web.page import Visitor


def refusal_text(outcome: NotAccepted, visitor: Visitor) -> str:
    """Return a sentence in the language of the visitor."""
    return _template(outcome.reason, visitor) % _values(outcome, visitor)


def _template(reason: Reason, visitor: Visitor) -> str:
    gettext = visitor.language.gettext
    match reason:
        case Reason.NO_SUCH_RECIPIENT:
            return gettext("%(address)s does not exist.")
        case Reason.SUSPENDED:
            return gettext("%(address)s does not accept messages at the moment. Try again later.")
        case Reason.MAILBOX_FULL:
            return gettext("The mailbox of %(address)s is full. Try again later.")
        case Reason.TOO_MANY_RECIPIENTS:
            return gettext("The message has too many recipients.")
        case Reason.REJECTED_BY_RECIPIENT:
            return gettext("The recipient rejects the message: %(detail)s")
        case Reason.NOT_YOUR_SENDER | Reason.NOT_YOUR_FROM:
            return gettext("You may not send from this address.")
        case Reason.SENT_TOO_MUCH:
            return gettext("You have reached your sending limit. Send again after %(time)s.")
        case Reason.TOO_LARGE:
            return gettext("The message is too large.")
        case Reason.CANNOT_TRAVEL:
            return gettext("The message cannot be sent in this form: %(detail)s")
        case Reason.LOOKS_LIKE_ABUSE:
            return gettext("The message looks like spam or malware. Ask your postmaster.")
        case Reason.UNWANTED | Reason.LOOP:
            return gettext("The checks of this server refused the message.")
        case Reason.NO_SPACE:
            return gettext("The server has no space for new messages. Try again later.")
        case Reason.CHECK_LATER | Reason.DNS_LATER | Reason.UNAVAILABLE:
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
