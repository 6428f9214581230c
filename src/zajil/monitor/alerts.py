"""Tells the administrators by mail of conditions: when one begins, daily, and when it ends.

Laws:
- What was told is in the store, in the commit that holds the mails: a restart repeats nothing and
  forgets nothing.
- Each condition that begins or ends is a line of the log too, whether a mail could be sent or not:
  a full disk takes no mail.
- All that changes at one look is one mail to each recipient, in their language.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.config.options_monitor import AlertOptions
from zajil.core.address import Address, parse_address
from zajil.core.ids import MailId
from zajil.message.build import (
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.monitor import alert_texts
from zajil.monitor.alert_texts import Speaker, fill, speak, spell_moment
from zajil.monitor.conditions import Alert, AlertChanges, AlertCondition, AlertKind, find_changes
from zajil.monitor.finders import AlertWatch
from zajil.net.logger import get_logger
from zajil.route.recipient import Local
from zajil.store.engine.errors import StoreFull
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.store.people.accounts import list_accounts
from zajil.store.people.settings import get_setting
from zajil.store.reports.alerts import AlertChange, AlertRow, list_alerts, tell_alerts

_LANGUAGE = "language"
"""Name of the setting of an account (``web.choices``)."""


@dataclass(frozen=True, slots=True)
class AlertReader:
    """Somebody who gets alerts."""

    addressed: Addressed
    language: str
    """Code; ``""``: not chosen."""


@dataclass(slots=True, kw_only=True)
class AlertMailer:
    """Writes the mails."""

    mailer: OwnMailer
    options: AlertOptions
    hostname: str
    languages: Callable[[str], Speaker]
    """Returns the language of a code, or the one for a code that is not there."""
    shard: str = ""
    """Whose conditions these are; ``""``: of the server, or of its main shard."""
    elsewhere: Store | None = None
    """Whose administrators get alerts where this store has none: that of the main shard."""

    @property
    def origin(self) -> str:
        """The server, and the shard if it is not the main one."""
        return f"{self.hostname}, {self.shard}" if self.shard else self.hostname

    async def readers(self) -> Sequence[AlertReader]:
        """Return who gets alerts: ``alerts.to``, else all administrators.

        Those of the main shard, if this one has none.

        An address that leads nowhere is an error in the log.
        """
        store = self.mailer.store
        asked = [(parse_address(text), self.options.language) for text in self.options.to]
        asked = asked or await store.read(_administrators)
        if not asked and self.elsewhere is not None:
            asked = await self.elsewhere.read(_administrators)
        if not asked:
            get_logger().error("nobody gets alerts: there is no active administrator")
        found: list[AlertReader] = []
        for address, language in asked:
            route = await self.mailer.route(address, store.directory.postmaster)
            if route is None:
                get_logger().error("nobody has this address of alerts.to", address=str(address))
                continue
            found.append(AlertReader(Addressed(address, route), language))
        return found

    async def mail_to(self, reader: AlertReader, title: str, text: str, at_ms: int) -> Intake:
        """Make the mail to one of them; raises ``StoreUnavailable``."""
        domain = await self._own_domain(reader)
        mail_id = self.mailer.new_mail_id(at_ms)
        postmaster = Address("postmaster", domain)
        return await self.mailer.prepare(
            OwnMail(
                mail_id=mail_id,
                at_ms=at_ms,
                message=_write(postmaster, reader.addressed.address, title, text, mail_id, at_ms),
                header_from=postmaster,
                message_id=f"<{mail_id}@{domain}>",
                recipients=(reader.addressed,),
            )
        )

    async def _own_domain(self, reader: AlertReader) -> str:
        """Return the domain of ours that writes, so that the mail is signed."""
        if isinstance(reader.addressed.route, Local):
            return reader.addressed.address.domain
        postmaster = self.mailer.store.directory.postmaster
        return self.hostname if postmaster is None else postmaster.address.domain

    def speaker(self, reader: AlertReader) -> Speaker:
        """Return the language of a reader."""
        return self.languages(reader.language or self.options.language)


@dataclass(slots=True)
class AlertKeeper:
    """Looks at all conditions and tells what changes."""

    letters: AlertMailer
    watches: Sequence[AlertWatch]
    _found: dict[int, Sequence[AlertCondition]] = field(default_factory=dict)
    """By watch: what it found when it last knew."""
    _due: dict[int, float] = field(default_factory=dict)
    _absent: dict[tuple[str, str], int] = field(default_factory=dict)
    _logged: set[tuple[str, str]] = field(default_factory=set)

    async def look(self) -> None:
        """Ask the watches that are due, and tell what changed; a chore.

        Raises:
            StoreUnavailable: nothing was told; the next call does it.
        """
        now_ms = self.letters.mailer.clock.now_ms()
        for number, watch in enumerate(self.watches):
            if now_ms >= self._due.setdefault(number, now_ms + watch.first_seconds * 1000):
                found = await watch.find()
                if found is not None:
                    self._found[number] = found
                self._due[number] = now_ms + watch.seconds * 1000
        store = self.letters.mailer.store
        known = [one for row in await store.read(list_alerts) if (one := alert_of(row))]
        found = [condition for part in self._found.values() for condition in part]
        answered = {kind for number in self._found for kind in self.watches[number].kinds}
        changes = find_changes(known, found, answered, self._absent, now_ms)
        if changes:
            self._log(changes)
            await self._tell(known, changes, now_ms)

    async def _tell(self, known: Sequence[Alert], changes: AlertChanges, now_ms: int) -> None:
        store = self.letters.mailer.store
        seen = {alert.condition.key: alert.told_ms for alert in known}
        kept = (*changes.begun, *changes.lasting)
        ended = [alert.condition.key for alert in changes.ended]
        # The first call compiles the catalogs of a server without pages: for about a second.
        await asyncio.to_thread(self.letters.languages, "")
        try:
            mails = [
                await self._mail(reader, changes, now_ms) for reader in await self.letters.readers()
            ]
            rows = [_row_of(alert) for alert in kept]
            change = AlertChange(seen=seen, kept=rows, ended=ended, mails=mails)
            await store.write(tell_alerts, change)
        except (StoreFull, NoSuchMailbox) as error:
            get_logger().error("cannot send alerts by mail", reason=str(error))
            untold = [_row_of(Alert(one.condition, one.begun_ms, 0)) for one in changes.begun]
            await store.write(tell_alerts, AlertChange(seen=seen, kept=untold))
            return
        for key in ended:
            self._absent.pop(key, None)

    async def _mail(self, reader: AlertReader, changes: AlertChanges, now_ms: int) -> Intake:
        language = self.letters.speaker(reader)
        parts = list(spell_changes(changes, language, self.letters.shard))
        title = parts[0][0] if len(parts) == 1 else f"{parts[0][0]} (+{len(parts) - 1})"
        text = "\n\n".join(f"{one}\n\n{body}" for one, body in parts)
        text += f"\n\n-- \n{self.letters.origin}: {language.gettext(alert_texts.FOOTER)}\n"
        return await self.letters.mail_to(reader, f"[{self.letters.origin}] {title}", text, now_ms)

    def _log(self, changes: AlertChanges) -> None:
        log = get_logger()
        for alert in changes.begun:
            condition = alert.condition
            if condition.key not in self._logged:
                self._logged.add(condition.key)
                values: dict[str, Any] = {**condition.facts}
                kind, subject = condition.key
                log.error("an alert begins", kind=kind, subject=subject, **values)
        for alert in changes.ended:
            condition = alert.condition
            self._logged.discard(condition.key)
            log.info("an alert is over", kind=condition.kind.value, subject=condition.subject)


def alert_of(row: AlertRow) -> Alert | None:
    """Return a row as a value; ``None``: a newer version wrote it."""
    try:
        kind = AlertKind(row.kind)
    except ValueError:
        return None
    return Alert(AlertCondition(kind, row.subject, row.facts), row.begun_ms, row.told_ms)


def spell_changes(
    changes: AlertChanges, language: Speaker, shard: str = ""
) -> Iterator[tuple[str, str]]:
    """Return title and text of each change; ``shard``: where, if it is not the main one."""
    for alerts, heading in (
        (changes.begun, "{title}"),
        (changes.lasting, alert_texts.STILL),
        (changes.ended, alert_texts.OVER),
    ):
        for alert in alerts:
            spoken = speak(alert.condition, language)
            title = fill(heading, language, {"title": spoken.title})
            begun = {"begun_ms": spell_moment(alert.begun_ms, language)}
            if heading == alert_texts.OVER:
                yield title, fill(alert_texts.ENDED, language, begun)
                continue
            since = fill(alert_texts.SINCE, language, begun)
            run = fill(alert_texts.RUN, language, {"command": ""}).rstrip()
            text = f"{spoken.text}\n{since}\n\n{spoken.advice}"
            command = spoken.command
            if shard:
                command = command.replace("zajil ", f"zajil --shard {shard} ", 1)
            yield title, f"{text}\n\n{run}\n    {command}"


def _row_of(alert: Alert) -> AlertRow:
    kind, subject = alert.condition.key
    return AlertRow(kind, subject, alert.begun_ms, alert.told_ms, alert.condition.facts)


def _administrators(conn: Snapshot) -> list[tuple[Address, str]]:
    """Return the address and the language of each."""
    return [
        (row.address, get_setting(conn, row.account_id, _LANGUAGE) or "")
        for row in list_accounts(conn)
        if row.admin and row.active
    ]


def _write(
    sender: Address, to: Address, title: str, text: str, unique: MailId, at_ms: int
) -> bytes:
    utf8 = not (to.is_ascii and sender.is_ascii)
    header = [
        write_raw_field("Date", format_date(at_ms)),
        write_address_field("From", [("Zajil", sender)], utf8=utf8),
        write_address_field("To", [("", to)], utf8=utf8),
        write_text_field("Subject", title, utf8=utf8),
        write_raw_field("Message-ID", f"<{unique}@{sender.domain}>"),
        # RFC 3834 section 5: no robot is to answer this.
        b"Auto-Submitted: auto-generated\r\n",
    ]
    return build_message(header, text, unique=unique)
