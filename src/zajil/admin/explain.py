"""Why a mail was judged as it was: a stored verdict, or one reached now for a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zajil.admin.journey import get_journey
from zajil.check.explain import Change, what_would_change
from zajil.check.facts import MessageFacts
from zajil.check.signals import SIGNALS
from zajil.check.step import Checks
from zajil.check.verdict import Action, Reason, Thresholds, Verdict
from zajil.config.options import LimitOptions
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.core.ids import MailId
from zajil.dns.flow import Resolve
from zajil.mailauth.dkim_body import BodyDigests, body_needs, body_of
from zajil.message.fields import read_fields, split_message
from zajil.net.peer import Peer
from zajil.net.system import SystemClock
from zajil.tracking.events import VerdictReached

Translate = Callable[[str], str]
"""From an English text of the catalogs to the reader's language."""


class NotJudged(Exception):
    """The mail has no verdict: it is our own, or its events are gone."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, and what would have changed it."""

    recipient: str | None
    """Whose it is; ``None``: everybody's who has none of their own."""
    verdict: Verdict
    changes: tuple[Change, ...]


def explain(verdict: Verdict, thresholds: Thresholds, recipient: str | None = None) -> Explanation:
    """Say what would have changed a verdict."""
    return Explanation(recipient, verdict, what_would_change(verdict, thresholds))


def explain_mail(conn: Any, mail_id: MailId, thresholds: Thresholds) -> tuple[Explanation, ...]:
    """Explain the verdicts of a mail that was judged before, everybody's first.

    Args:
        conn: a read of the store.
        mail_id: our own id.
        thresholds: those of today; what would have changed is told by them.

    Raises:
        NoSuchMail: the id is unknown.
        NotJudged: it was never judged.
    """
    journey = get_journey(conn, mail_id)
    found = [one.event for one in journey.events if isinstance(one.event, VerdictReached)]
    if not found:
        raise NotJudged(f"{mail_id} has no verdict: nobody judged it, or its journey is too old")
    found.sort(key=lambda event: event.recipient is not None)
    return tuple(explain(_stored(event), thresholds, event.recipient) for event in found)


async def explain_file(
    message: bytes,
    options: CheckOptions,
    resolve: Resolve,
    *,
    ip: str | None,
    mail_from: str,
    helo: str,
) -> Explanation:
    """Judge a message now, as if a peer brought it; nobody's words or history count.

    Args:
        message: with CRLF line ends.
        options: weights and scores.
        resolve: asks DNS.
        ip: of the peer; ``None``: nothing is known of it, and what is about it is not checked.
        mail_from: ``""`` is the null path.
        helo: what the peer says it is called.

    Raises:
        BadAddress: ``mail_from`` is none.
    """
    end, _ = split_message(message)
    header = message[:end]
    peer = None if ip is None else Peer(ip, 0, "")
    fields, body = read_fields(header), message[end:]
    digests = BodyDigests(body_needs(fields))
    digests.feed(body_of(body))
    facts = MessageFacts(
        SystemClock().now_ms(),
        peer,
        helo,
        parse_address(mail_from) if mail_from else None,
        (),
        header,
        fields,
        len(message),
        True,
        None,
        "localhost",
        LimitOptions(),
        digests=digests,
        body=body,
    )
    checks = Checks(options, resolve, "")
    looked = None if peer is None else checks.look_at(peer, helo, facts.now_ms)
    checked = await checks.check_message(facts, looked)
    return explain(checked.verdict, checks.thresholds)


def _stored(event: VerdictReached) -> Verdict:
    reasons: list[Reason] = []
    for name, weight, template, values in event.signals:
        known = SIGNALS.get(name)
        reasons.append(
            Reason(
                name,
                weight,
                template,
                known.demands if known else None,
                tuple(values.items()),
                is_proof=known is not None and known.is_proof,
                asks_refusal=known is not None and known.asks_refusal,
            )
        )
    return Verdict(Action(event.verdict), event.score, tuple(reasons))


def explanation_to_dict(told: Explanation, translate: Translate) -> dict[str, Any]:
    """Give an explanation as ``zajil check explain --json`` prints it (design section 6)."""
    return {
        "verdict": told.verdict.action.value,
        "score": told.verdict.score,
        "reasons": [
            {
                "signal": reason.signal,
                "weight": reason.weight,
                "text": translate(reason.template).format(**dict(reason.values)),
            }
            for reason in told.verdict.reasons
        ],
        "recipient": told.recipient,
        "changes": [
            {"without": change.signal, "more": change.more, "verdict": change.action.value}
            for change in told.changes
        ],
    }
