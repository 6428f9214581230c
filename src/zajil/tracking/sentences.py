"""A sentence for each event, with its details. Pure.

A sentence is an English text with named places. The text is the key of the catalogs in
``web/locale``, so that it can be shown in every language. A place whose name ends in ``_ms``
contains a time and one that ends in ``_bytes`` a size, which the page formats for its reader;
``check`` contains a name of ``check_names``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum

from zajil.core.domain import to_unicode
from zajil.core.ids import MailId
from zajil.core.moment import spell_utc
from zajil.core.service import Service
from zajil.core.value_class import value_class
from zajil.tracking import events as tracked
from zajil.tracking.check_names import CHECK_NAMES, mark
from zajil.tracking.events import TrackingEvent
from zajil.tracking.journey import joined_mail_id, readable


class Stage(Enum):
    """The chapters of a journey, in order; the value is the title."""

    ARRIVE = mark("Received")
    CHECK = mark("Checked")
    KEEP = mark("Accepted")
    DELIVER = mark("Delivery")


class Tone(Enum):
    """The result of a step."""

    PLAIN = "plain"
    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"


@value_class(frozen=True, slots=True)
class Sentence:
    """One sentence, before translation."""

    text: str
    """English, with places like ``{recipient}``; the key of the catalogs."""
    values: Mapping[str, str | int | Sentence]
    """A sentence in a place is a reason within this one."""

    def plain(self) -> str:
        """Return it in English, for a terminal."""
        shown = {name: _plain_value(name, value) for name, value in self.values.items()}
        return self.text.format(**shown)


@value_class(frozen=True, slots=True)
class Detail:
    """The details of a step."""

    label: str
    """English; a key of the catalogs."""
    lines: tuple[str, ...]
    sentences: tuple[Sentence, ...] = ()
    """The lines as sentences to translate; empty: the lines are shown unchanged."""


@value_class(frozen=True, slots=True, kw_only=True)
class Step:
    """One event as a sentence."""

    at_ms: int
    name: str
    """Of the event."""
    stage: Stage | None
    """``None``: it belongs to the current chapter."""
    tone: Tone
    sentence: Sentence
    details: tuple[Detail, ...] = ()
    other_mail_id: MailId | None = None
    """A related journey: on the next server, or of a DSN."""


def tell_event(event: TrackingEvent) -> Step:
    """Return one event as a step; an event without a sentence is shown by its name."""
    for tell in (_tell_session, _tell_arrival, _tell_check, _tell_keeping, _tell_delivery):
        step = tell(event)
        if step is not None:
            return step
    return _step(event, None, mark("Event: {name}."), {"name": event.name})


def _tell_session(event: TrackingEvent) -> Step | None:
    """Return the sentence of an event of a session. Long: one table, a case for each event."""
    stage, fine = Stage.ARRIVE, Tone.PLAIN
    details: Sequence[Detail]
    match event:
        case tracked.SessionOpened(service=Service.WEB):
            return _step(event, stage, mark("The message was written in the webmail."), {})
        case tracked.SessionOpened(service=Service.SMTP, peer=peer):
            text = mark("Another mail server connected from {peer}.")
            return _step(event, stage, text, {"peer": peer})
        case tracked.SessionOpened(peer=""):
            return _step(event, stage, mark("A mail client connected."), {})
        case tracked.SessionOpened(peer=peer):
            return _step(event, stage, mark("A mail client connected from {peer}."), {"peer": peer})
        case tracked.TlsStarted(version=version, cipher=cipher, peer_name=peer_name):
            text = mark("The connection is now encrypted with {version}.")
            details = (
                Detail(mark("Cipher"), (cipher,)),
                Detail(mark("Certificate"), (peer_name,) if peer_name else ()),
            )
            return _step(event, stage, text, {"version": version}, fine, details)
        case tracked.PeerGreeted(claimed_name=name, verb=verb):
            text = mark("The client identified itself as {name}.")
            return _step(
                event, stage, text, {"name": name}, fine, (Detail(mark("Command"), (verb,)),)
            )
        case tracked.PeerReported(proxy=proxy, login=login):
            details = (Detail(mark("Username"), (login,) if login else ()),)
            text = mark("The proxy {proxy} reported the client's address.")
            return _step(event, stage, text, {"proxy": proxy}, fine, details)
        case tracked.AnswersSlowed(reason=reason):
            text, details = mark("The server delayed its replies."), _reason(reason)
            return _step(event, None, text, {}, Tone.WAIT, details)
        case tracked.LoggedIn(login=login, mechanism=mechanism):
            details = (Detail(mark("Mechanism"), (mechanism,)),)
            return _step(event, stage, mark("{login} logged in."), {"login": login}, fine, details)
        case tracked.LoginFailed(reason=reason):
            details = (Detail(mark("Reason"), (reason,)),)
            return _step(event, stage, mark("Authentication failed."), {}, Tone.BAD, details)
        case tracked.CommandRefused(command=command, reply=reply):
            details = (Detail(mark("Command"), (command,)), Detail(mark("SMTP reply"), (reply,)))
            return _step(event, None, mark("The server rejected a command."), {}, Tone.BAD, details)
        case tracked.SessionClosed(reason=reason):
            details = (Detail(mark("Reason"), (reason,)),)
            return _step(event, None, mark("The connection was closed."), {}, fine, details)
        case tracked.RefusalsMerged(peer=peer, what=what, count=count):
            text = mark("{count} more rejections of {peer} were not recorded individually.")
            details = (Detail(mark("Reason"), (what,)),)
            return _step(event, None, text, {"count": count, "peer": peer}, Tone.BAD, details)
        case tracked.ConnectionsRefused(peer=peer, reason=reason, count=count):
            text = mark("The server refused {count} connections from {peer}.")
            details = (Detail(mark("Reason"), (reason,)),)
            return _step(event, None, text, {"count": count, "peer": peer}, Tone.BAD, details)
        case _:
            return None


_ROUTES = {
    "local": mark("The recipient {recipient} is local."),
    "remote": mark("The recipient {recipient} is on another server."),
    "alias": mark("The recipient {recipient} is an alias."),
}


def _tell_arrival(event: TrackingEvent) -> Step | None:
    stage = Stage.ARRIVE
    details: Sequence[Detail]
    match event:
        case tracked.SenderNamed(reverse_path="", parameters=parameters):
            text = mark("The sender is empty: the message is a bounce or a notification.")
            return _step(event, stage, text, {}, Tone.PLAIN, _parameters(parameters))
        case tracked.SenderNamed(reverse_path=sender, parameters=parameters):
            text, values = mark("The sender is {sender}."), {"sender": readable(sender)}
            return _step(event, stage, text, values, Tone.PLAIN, _parameters(parameters))
        case tracked.RecipientNamed(recipient=recipient, route=route):
            text = _ROUTES.get(route, mark("The recipient is {recipient}."))
            return _step(event, stage, text, {"recipient": readable(recipient)})
        case tracked.RecipientRefused(recipient=recipient, reply=reply):
            text, values = (
                mark("The server rejected the recipient {recipient}."),
                {"recipient": readable(recipient)},
            )
            return _step(
                event, stage, text, values, Tone.BAD, (Detail(mark("SMTP reply"), (reply,)),)
            )
        case tracked.MessageReceived(size=size):
            text = mark("The message was received completely ({size_bytes}).")
            details = (
                Detail(mark("From"), (event.header_from,)),
                Detail(mark("Subject"), (event.subject,)),
                Detail(mark("Message-ID"), (event.message_id,)),
            )
            return _step(event, stage, text, {"size_bytes": size}, Tone.PLAIN, details)
        case tracked.LineEndsMended():
            text = mark("The message had invalid line endings; the server corrected them.")
            return _step(event, stage, text, {})
        case tracked.HeaderCompleted(changes=changes):
            text = mark("The server completed the header section.")
            return _step(event, stage, text, {}, Tone.PLAIN, (Detail(mark("Changes"), (changes,)),))
        case tracked.MailRefused(reply=reply):
            text = mark("The server did not accept the message.")
            return _step(
                event, Stage.KEEP, text, {}, Tone.BAD, (Detail(mark("SMTP reply"), (reply,)),)
            )
        case _:
            return None


_VERDICTS = {
    "accept": (mark("The message passed the checks."), Tone.GOOD),
    "junk": (mark("The message was classified as junk."), Tone.WAIT),
    "defer": (mark("The message was temporarily rejected."), Tone.WAIT),
    "reject": (mark("The message was rejected."), Tone.BAD),
}


def _tell_check(event: TrackingEvent) -> Step | None:
    details: Sequence[Detail]
    match event:
        case tracked.CheckDone(check=check, result=result, reason=reason, inputs=inputs):
            passed = result == "pass"
            text = mark("Checked: {check}.") if passed else mark("Checked, with remarks: {check}.")
            if passed and check == "format":
                text = mark("The message format is valid.")
            details = (Detail(mark("Reason"), (reason,)), Detail(mark("Based on"), inputs))
            values = {"check": check}
            tone = Tone.GOOD if passed else Tone.PLAIN
            return _step(event, Stage.CHECK, text, values, tone, details)
        case tracked.VerdictReached(verdict=verdict, reasons=reasons, score=score, signals=signals):
            text, tone = _VERDICTS.get(verdict, (mark("The verdict is {verdict}."), Tone.PLAIN))
            details = (
                Detail(mark("Recipient"), (readable(event.recipient),) if event.recipient else ()),
                Detail(
                    mark("Reasons"),
                    reasons,
                    tuple([Sentence(template, values) for _, _, template, values in signals]),
                ),
                Detail(mark("Score"), (f"{score:g}",)),
            )
            return _step(event, Stage.CHECK, text, {"verdict": verdict}, tone, details)
        case _:
            return None


def _tell_keeping(event: TrackingEvent) -> Step | None:
    stage = Stage.KEEP
    details: Sequence[Detail]
    values: Mapping[str, str | int]
    match event:
        case tracked.AliasExpanded(recipient=recipient, targets=targets):
            text = mark("The alias {recipient} was expanded to {targets}.")
            others = ", ".join(readable(target) for target in targets)
            return _step(event, stage, text, {"recipient": readable(recipient), "targets": others})
        case tracked.MailSigned(dkim_domain=domain, selectors=selectors, algorithms=algorithms):
            text = mark("The message was signed with DKIM for {domain}.")
            pairs = zip(selectors, algorithms, strict=False)
            details = (Detail(mark("Keys"), tuple([f"{key} ({how})" for key, how in pairs])),)
            return _step(event, stage, text, {"domain": to_unicode(domain)}, Tone.PLAIN, details)
        case tracked.MailSealed(domain=domain, selector=selector, cv=cv):
            text = mark("The message was sealed with ARC for {domain} before it was forwarded.")
            details = (Detail(mark("Keys"), (selector,)), Detail(mark("Earlier ARC seals"), (cv,)))
            return _step(event, stage, text, {"domain": to_unicode(domain)}, Tone.PLAIN, details)
        case tracked.MailAccepted():
            text = mark("The message was stored and accepted for delivery.")
            return _step(event, stage, text, {}, Tone.GOOD)
        case tracked.MailboxFiled(recipient=recipient, mailbox="", reason=reason):
            text, values = (
                mark("The message for {recipient} was delivered to the mailbox."),
                {"recipient": readable(recipient)},
            )
            return _step(event, Stage.DELIVER, text, values, Tone.GOOD, _reason(reason))
        case tracked.MailboxFiled(recipient=recipient, mailbox=mailbox, reason=reason):
            text = mark("The message for {recipient} was delivered to {mailbox}.")
            values = {"recipient": readable(recipient), "mailbox": mailbox}
            return _step(event, Stage.DELIVER, text, values, Tone.GOOD, _reason(reason))
        case tracked.RecipientQueued(recipient=recipient, next_hop=""):
            text = mark("The message for {recipient} is on hold.")
            return _step(event, stage, text, {"recipient": readable(recipient)}, Tone.WAIT)
        case tracked.RecipientQueued(recipient=recipient, next_hop=next_hop):
            text = mark("The message for {recipient} was queued for {next_hop}.")
            values = {"recipient": readable(recipient), "next_hop": to_unicode(next_hop)}
            return _step(event, stage, text, values)
        case tracked.AccountHeld(strangers=strangers):
            text = mark(
                "The account sent mail to an unusual number of new recipients "
                "({strangers} in one day). Mail to other servers is held until an "
                "operator reviews it."
            )
            return _step(event, stage, text, {"strangers": strangers}, Tone.WAIT)
        case _:
            return None


def _tell_delivery(event: TrackingEvent) -> Step | None:
    stage = Stage.DELIVER
    details: Sequence[Detail]
    values: Mapping[str, str | int]
    match event:
        case tracked.AttemptMade(host=host, outcome=outcome):
            details = (
                Detail(mark("Outcome"), (outcome,)),
                Detail(mark("Address"), (event.address,)),
                Detail(mark("Encryption"), (event.tls,) if event.tls else ()),
                Detail(mark("SMTP dialogue"), event.dialogue),
            )
            text = mark("The server contacted {host}.")
            return _step(event, stage, text, {"host": to_unicode(host)}, Tone.PLAIN, details)
        case tracked.RecipientDelivered(recipient=recipient, remote_mta=""):
            text, values = (
                mark("The message for {recipient} was delivered."),
                {"recipient": readable(recipient)},
            )
            return _step(event, stage, text, values, Tone.GOOD)
        case tracked.RecipientDelivered(recipient=recipient, remote_mta=host, reply=reply):
            text = mark("{host} accepted the message for {recipient}.")
            values = {"host": to_unicode(host), "recipient": readable(recipient)}
            details = (Detail(mark("SMTP reply"), (reply,)),)
            step = _step(event, stage, text, values, Tone.GOOD, details)
            return replace(step, other_mail_id=joined_mail_id(event))
        case _:
            return _tell_route(event)


def _tell_route(event: TrackingEvent) -> Step | None:
    stage = Stage.DELIVER
    details: Sequence[Detail]
    match event:
        case tracked.RouteFound(domain=domain, hosts=hosts, inputs=inputs):
            text = mark("The mail servers of {domain} were found.")
            details = (Detail(mark("Servers"), hosts), Detail(mark("DNS responses"), inputs))
            return _step(event, stage, text, {"domain": to_unicode(domain)}, Tone.PLAIN, details)
        case tracked.RelayFound(domain=domain, relay=relay, option=option, inputs=inputs):
            text = mark("Mail for {domain} is relayed through {relay}.")
            details = (Detail(mark("Option"), (option,)), Detail(mark("DNS responses"), inputs))
            values = {"domain": to_unicode(domain), "relay": relay}
            return _step(event, stage, text, values, Tone.PLAIN, details)
        case tracked.StsPolicyFound(domain=domain, mode=mode, mx=mx, refused=refused):
            text = (
                mark("{domain} requires encryption with a valid certificate (MTA-STS).")
                if mode == "enforce"
                else mark("{domain} tests an MTA-STS policy, which is not enforced yet.")
            )
            details = (
                Detail(mark("Permitted servers"), mx),
                Detail(mark("Servers that are not permitted"), refused),
            )
            return _step(event, stage, text, {"domain": to_unicode(domain)}, Tone.PLAIN, details)
        case tracked.TlsaFound(host=host, records=records):
            text = mark("{host} requires encryption (DANE).")
            details = (Detail(mark("TLSA records"), records),)
            return _step(event, stage, text, {"host": to_unicode(host)}, Tone.PLAIN, details)
        case tracked.RouteFailed(domain=domain, temporary=temporary, reason=reason, inputs=inputs):
            text = (
                mark("The mail servers of {domain} cannot be found at the moment.")
                if temporary
                else mark("The domain {domain} has no reachable mail server.")
            )
            tone = Tone.WAIT if temporary else Tone.BAD
            details = (*_reason(reason), Detail(mark("DNS responses"), inputs))
            return _step(event, stage, text, {"domain": to_unicode(domain)}, tone, details)
        case _:
            return _tell_trouble(event)


_ACTIONS = {
    "hold": mark("An operator put the message on hold."),
    "release": mark("An operator released the message."),
    "expire": mark("An operator returned the message to its sender."),
    "retry": mark("An operator requested an immediate delivery attempt."),
    "discard": mark("An operator discarded the message."),
    "recall": mark("The sender took the message back before it was delivered."),
}


_KEY_STATES = {
    "published": mark(
        "The DKIM key {selector} of {domain} was created; its DNS record must be published."
    ),
    "active": mark("{domain} now signs with the DKIM key {selector}."),
    "retired": mark("{domain} no longer signs with the DKIM key {selector}."),
    "revoked": mark("The DKIM key {selector} of {domain} was revoked."),
}


def _tell_trouble(event: TrackingEvent) -> Step | None:
    stage = Stage.DELIVER
    details: Sequence[Detail]
    values: Mapping[str, str | int]
    match event:
        case tracked.DeliveryDeferred(recipient=recipient, diagnostic=reply, next_try_ms=next_ms):
            text = mark(
                "Delivery to {recipient} was deferred; the next attempt is at {next_try_ms}."
            )
            values = {"recipient": readable(recipient), "next_try_ms": next_ms}
            return _step(
                event, stage, text, values, Tone.WAIT, (Detail(mark("SMTP reply"), (reply,)),)
            )
        case tracked.RecipientFailed(recipient=recipient, status=status, diagnostic=reply):
            text = (
                mark("Delivery to {recipient} failed: the maximum queue time has passed.")
                if event.expired
                else mark("Delivery to {recipient} failed.")
            )
            details = (Detail(mark("SMTP reply"), (reply,)), Detail(mark("Status"), (status,)))
            values = {"recipient": readable(recipient)}
            return _step(event, stage, text, values, Tone.BAD, details)
        case tracked.DsnSent(dsn_mail_id=dsn_mail_id, recipients=recipients):
            told = tuple(readable(recipient) for recipient in recipients)
            text, details = (
                mark("A bounce message was sent to the sender."),
                (Detail(mark("Recipients"), told),),
            )
            step = _step(event, stage, text, {}, Tone.PLAIN, details)
            return replace(step, other_mail_id=MailId(dsn_mail_id))
        case tracked.DsnSuppressed(reason=reason):
            text = mark("No bounce message is sent.")
            return _step(event, stage, text, {}, Tone.PLAIN, _reason(reason))
        case _:
            return _tell_operation(event)


def _tell_operation(event: TrackingEvent) -> Step | None:
    details: Sequence[Detail]
    match event:
        case tracked.OperatorActed(action=action, who=who, reason=reason):
            text = _ACTIONS.get(action, mark("An operator changed the state of the message."))
            details = (*_reason(reason), Detail(mark("By"), (who,) if who else ()))
            return _step(event, Stage.DELIVER, text, {}, Tone.WAIT, details)
        case tracked.DkimKeyRotated(domain=domain, selector=selector, state=state):
            text = _KEY_STATES.get(state, mark("The DKIM key {selector} of {domain} changed."))
            return _step(event, None, text, {"selector": selector, "domain": to_unicode(domain)})
        case tracked.CertificateEnding(names=names, not_after_ms=end_ms):
            text = mark("The TLS certificate of this server expires at {end_ms}.")
            details = (Detail(mark("Names"), names),)
            return _step(event, None, text, {"end_ms": end_ms}, Tone.BAD, details)
        case tracked.QuotaReached(address=address, percent=percent):
            text = mark("The mailbox of {address} is {percent} % full.")
            shown = {"address": readable(address), "percent": str(percent)}
            return _step(event, None, text, shown, Tone.WAIT)
        case tracked.FaultHappened(summary=summary, traceback=traceback):
            text = mark(
                "An internal error occurred; the message is safe, and the "
                "operation will be retried."
            )
            details = (
                Detail(mark("Reason"), (summary,) if summary else ()),
                Detail(mark("Traceback"), tuple(traceback.splitlines())),
            )
            return _step(event, None, text, {}, Tone.BAD, details)
        case _:
            return None


def _step(
    event: TrackingEvent,
    stage: Stage | None,
    text: str,
    values: Mapping[str, str | int],
    tone: Tone = Tone.PLAIN,
    details: Sequence[Detail] = (),
) -> Step:
    told = tuple(detail for detail in details if any(detail.lines))
    return Step(
        at_ms=event.at_ms,
        name=event.name,
        stage=stage,
        tone=tone,
        sentence=Sentence(text, values),
        details=told,
    )


def _reason(reason: str) -> tuple[Detail, ...]:
    return (Detail(mark("Reason"), (reason,)),) if reason else ()


def _parameters(parameters: str) -> tuple[Detail, ...]:
    return (Detail(mark("Parameters"), (parameters,)),) if parameters else ()


def _plain_value(name: str, value: str | int | Sentence) -> str:
    if isinstance(value, Sentence):
        return value.plain().removesuffix(".")
    if name.endswith("_ms") and isinstance(value, int):
        return spell_utc(value)
    if name == "check":
        return CHECK_NAMES.get(str(value), str(value))
    return f"{value} B" if name.endswith("_bytes") else str(value)
