"""What our offer and the course of the session forbid, beyond the tables of ``state``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from zajil.core.mail_options import PLAIN_MAIL
from zajil.smtp import refusals
from zajil.smtp.command import (
    Auth,
    Bdat,
    Data,
    Ehlo,
    Event,
    Helo,
    Lhlo,
    Mail,
    Rcpt,
    StartTls,
    Xclient,
)
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.state import SmtpState


class Progress(Protocol):
    """What has come to pass so far: ``server.ServerConnection``."""

    offer: Capabilities
    state: SmtpState
    encrypted: bool
    is_authenticated: bool
    smtputf8: bool
    mails: int
    recipients: int


def wrong_order(state: SmtpState, kind: type[Event]) -> Reply:
    """Return why a command may not come now (RFC 5321 section 4.1.4)."""
    return _WRONG_ORDER.get((state, kind), refusals.OUT_OF_ORDER)


def _judge_smtp_greeting(course: Progress, command: Ehlo | Helo) -> Reply | None:
    # RFC 2033 section 4.1: LHLO must not be taken for a server of SMTP.
    return refusals.UNKNOWN if course.offer.lmtp else None


def _judge_lmtp_greeting(course: Progress, command: Lhlo) -> Reply | None:
    return None if course.offer.lmtp else refusals.UNKNOWN


def _judge_mail(course: Progress, command: Mail) -> Reply | None:
    offer = course.offer
    if 0 < offer.max_mails <= course.mails and course.state is _READY:
        return refusals.TOO_MANY_MAILS
    if command.declared_size is not None and command.declared_size > offer.max_message_size:
        return refusals.TOO_BIG
    options = command.options
    if options is not PLAIN_MAIL:
        # RFC 4865: not longer than was announced.
        if (options.hold_for_s or 0) > offer.max_hold_seconds:
            return refusals.HELD_TOO_LONG
        if options.hold_until_ms is not None and options.hold_until_ms > offer.latest_release_ms():
            return refusals.HELD_TOO_LONG
    return None


def _judge_rcpt(course: Progress, command: Rcpt) -> Reply | None:
    if course.state is not _RCPT and course.state is not _MAIL:
        return None
    if command.needs_smtputf8 and not course.smtputf8:
        return refusals.NEEDS_SMTPUTF8
    if 0 < course.offer.max_recipients <= course.recipients:
        return refusals.TOO_MANY_RECIPIENTS
    return None


def _judge_bdat(course: Progress, command: Bdat) -> Reply | None:
    return None if course.offer.chunking else refusals.NOT_DONE


def _judge_starttls(course: Progress, command: StartTls) -> Reply | None:
    if course.encrypted:
        return refusals.ALREADY_ENCRYPTED
    return None if course.offer.starttls else refusals.NOT_DONE


def _judge_auth(course: Progress, command: Auth) -> Reply | None:
    offer = course.offer
    if not offer.auth_mechanisms:
        return refusals.NOT_DONE
    if not course.encrypted:
        return refusals.ENCRYPT_FIRST
    if course.is_authenticated:
        return refusals.ALREADY_AUTHENTICATED
    if command.mechanism not in offer.auth_mechanisms:
        return refusals.UNKNOWN_MECHANISM
    return None


def _judge_xclient(course: Progress, command: Xclient) -> Reply | None:
    return None if course.offer.xclient else refusals.NOT_DONE


_READY, _MAIL, _RCPT, _CHUNKED = SmtpState.READY, SmtpState.MAIL, SmtpState.RCPT, SmtpState.CHUNKED

# The argument of each is a command of its key's type.
PRECONDITIONS: Mapping[type[Event], Callable[[Progress, Any], Reply | None]] = {
    Ehlo: _judge_smtp_greeting,
    Helo: _judge_smtp_greeting,
    Lhlo: _judge_lmtp_greeting,
    Mail: _judge_mail,
    Rcpt: _judge_rcpt,
    Bdat: _judge_bdat,
    StartTls: _judge_starttls,
    Auth: _judge_auth,
    Xclient: _judge_xclient,
}

_WRONG_ORDER: Mapping[tuple[SmtpState, type[Event]], Reply] = {
    **{
        (SmtpState.START, kind): refusals.EHLO_FIRST
        for kind in (Mail, Rcpt, Data, Bdat, Auth, StartTls)
    },
    **{(_READY, kind): refusals.MAIL_FIRST for kind in (Rcpt, Data, Bdat)},
    **{(state, Mail): refusals.NESTED_MAIL for state in (_MAIL, _RCPT, _CHUNKED)},
    (_MAIL, Data): refusals.NO_RECIPIENTS,
    (_MAIL, Bdat): refusals.NO_RECIPIENTS,
    # RFC 3030 section 2: DATA and BDAT do not go together.
    (_CHUNKED, Data): refusals.AFTER_BDAT,
    (_CHUNKED, Rcpt): refusals.AFTER_BDAT,
}
