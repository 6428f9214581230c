"""Parameters of MAIL and RCPT (RFC 5321 section 4.1.2).

SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY, ORCPT (RFC 3461,
RFC 6533), REQUIRETLS (RFC 8689), HOLDFOR, HOLDUNTIL (RFC 4865), AUTH (RFC 4954).

Law: what we did not announce is refused with 555, before its value is looked at.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Literal, NamedTuple, cast

from zajil.core.mail_options import (
    PLAIN_MAIL,
    PLAIN_RECIPIENT,
    MailOptions,
    Notify,
    RecipientOptions,
)
from zajil.smtp import grammar, refusals
from zajil.smtp.refusals import CommandError
from zajil.smtp.xtext import BadXtext, decode_original_recipient, decode_xtext

_MAX_ENVID = 100
"""Characters of ENVID (RFC 3461 section 4.4)."""
_OF_MAIL = frozenset(
    ("SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID", "REQUIRETLS", "HOLDFOR", "HOLDUNTIL")
)
_OF_RCPT = frozenset(("NOTIFY", "ORCPT"))
_TRANSPORT = frozenset(("SIZE", "BODY", "SMTPUTF8", "AUTH"))
"""Parameters that say how this connection carries the mail; the rest goes into ``MailOptions``."""
_NOTIFY = {flag.name: flag for flag in Notify}

_Values = dict[str, str | None]


class MailParameters(NamedTuple):
    """What the parameters of MAIL say."""

    size: int | None
    body: str | None
    smtputf8: bool
    options: MailOptions


def parse_mail_parameters(text: str, permitted: Container[str]) -> MailParameters:
    """Parse what follows the reverse-path.

    Raises:
        CommandError: 501 5.5.4 for a bad or repeated parameter, 555 5.5.4 for one that is not
            permitted.
    """
    values = _split(text, _OF_MAIL, permitted)
    size, body = None, None
    smtputf8 = _flag(values, "SMTPUTF8")
    if "SIZE" in values:
        # int() would take "+5" and "1_000", so the digits are checked first.
        digits = _value(values, "SIZE")
        if not grammar.SIZE_VALUE.fullmatch(digits):
            raise CommandError(refusals.BAD_PARAMETER)
        size = int(digits)
    if "BODY" in values:
        body = _word(values, "BODY", ("7BIT", "8BITMIME"))
    if "AUTH" in values:
        # Taken and not used: nobody is trusted to vouch for another's log-in (RFC 4954 section 5).
        _xtext(_value(values, "AUTH"))
    options = PLAIN_MAIL if values.keys() <= _TRANSPORT else _parse_options(values)
    return MailParameters(size, body, smtputf8, options)


def parse_rcpt_parameters(text: str, permitted: Container[str]) -> RecipientOptions:
    """Parse what follows the forward-path.

    Raises:
        CommandError: as ``parse_mail_parameters``.
    """
    values = _split(text, _OF_RCPT, permitted)
    notify, original = None, ""
    if "NOTIFY" in values:
        notify = _parse_notify(_value(values, "NOTIFY"))
    if "ORCPT" in values:
        try:
            original = decode_original_recipient(_value(values, "ORCPT"))
        except BadXtext:
            raise CommandError(refusals.BAD_PARAMETER) from None
    if notify is None and not original:
        return PLAIN_RECIPIENT
    return RecipientOptions(notify, original)


def _parse_options(values: _Values) -> MailOptions:
    dsn_return, envelope_id = None, ""
    hold_for, hold_until = None, None
    if "RET" in values:
        dsn_return = cast(Literal["FULL", "HDRS"], _word(values, "RET", ("FULL", "HDRS")))
    if "ENVID" in values:
        encoded = _value(values, "ENVID")
        envelope_id = _xtext(encoded)
        if len(encoded) > _MAX_ENVID or not envelope_id.isascii():
            raise CommandError(refusals.BAD_PARAMETER)
    if "HOLDFOR" in values:
        digits = _value(values, "HOLDFOR")
        if "HOLDUNTIL" in values or not grammar.HOLD_SECONDS.fullmatch(digits):
            raise CommandError(refusals.BAD_PARAMETER)
        hold_for = int(digits)
    if "HOLDUNTIL" in values:
        hold_until = _parse_date_time(_value(values, "HOLDUNTIL"))
    return MailOptions(dsn_return, envelope_id, _flag(values, "REQUIRETLS"), hold_for, hold_until)


def _parse_notify(text: str) -> Notify:
    # notify-esmtp-value = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )  (RFC 3461 section 4.1)
    words = text.upper().split(",") if text.isascii() else ()
    if words == ["NEVER"]:
        return Notify.NEVER
    notify = Notify.NEVER
    for word in words:
        flag = _NOTIFY.get(word)
        if flag is None or flag in notify:
            raise CommandError(refusals.BAD_PARAMETER)
        notify |= flag
    if notify is Notify.NEVER:
        raise CommandError(refusals.BAD_PARAMETER)
    return notify


def _parse_date_time(text: str) -> int:
    """Return milliseconds since 1970 UTC; one that is past holds nothing, and does no harm."""
    try:
        if not grammar.DATE_TIME.fullmatch(text):
            raise ValueError
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise CommandError(refusals.BAD_PARAMETER) from None


def _split(text: str, known: Container[str], permitted: Container[str]) -> _Values:
    values: _Values = {}
    for word in text.split(" "):
        if not word:
            continue
        match = grammar.PARAMETER.fullmatch(word)
        if match is None or (keyword := match["keyword"].upper()) in values:
            raise CommandError(refusals.BAD_PARAMETER)
        values[keyword] = match["value"]
    for keyword in values:
        if keyword not in known or keyword not in permitted:
            raise CommandError(refusals.UNKNOWN_PARAMETER)
    return values


def _value(values: _Values, keyword: str) -> str:
    value = values[keyword]
    if value is None:
        raise CommandError(refusals.BAD_PARAMETER)
    return value


def _flag(values: _Values, keyword: str) -> bool:
    if values.get(keyword) is not None:
        raise CommandError(refusals.BAD_PARAMETER)
    return keyword in values


def _word(values: _Values, keyword: str, choices: tuple[str, ...]) -> str:
    value = _value(values, keyword)
    # Only ASCII: upper() makes an ASCII letter of some that are not.
    word = value.upper() if value.isascii() else ""
    if word not in choices:
        raise CommandError(refusals.BAD_PARAMETER)
    return word


def _xtext(text: str) -> str:
    if text == "<>":  # of AUTH; no xtext is shorter to say "nobody"
        return text
    try:
        return decode_xtext(text)
    except BadXtext:
        raise CommandError(refusals.BAD_PARAMETER) from None
