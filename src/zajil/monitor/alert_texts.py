"""The sentences of alerts: what is wrong, what to do, and the command to run. Pure.

Each text is a key of the catalogs in ``web/locale``; the pages, mails and the command line show the
same ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cache
from typing import Protocol

from zajil.check.verdict.signals import printable
from zajil.monitor.conditions import AlertCondition, AlertKind, Fact
from zajil.tracking.check_names import mark
from zajil.tracking.reason_reader import ReasonReader
from zajil.tracking.reasons import ERROR_PLACES, REASONS, SYSTEM_ERRORS
from zajil.tracking.sentences import Sentence

_LONGEST = 2000
"""Characters of a fact that are shown."""
_ISOLATE, _POP = "\u2068", "\u2069"
_COUNTED = re.compile(r"(?<![^;\s])(\S.*?) \((\d+)\)(?=; |\Z)")
"""One of the most frequent reasons, with its number: ``time-out (3); the mailbox is full (2)``."""


class Speaker(Protocol):
    """A language: ``web.language.Language``."""

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""

    def gettext(self, text: str, /) -> str:
        """Translate a text."""

    def size(self, size: int, /) -> str:
        """Spell a number of bytes."""

    def duration(self, passed_ms: int, /) -> str:
        """Spell a duration."""

    def moment(self, at_ms: int, zone: tzinfo, /) -> str:
        """Spell a time."""


@dataclass(frozen=True, slots=True)
class AlertText:
    """The sentences of one kind; their places are facts of the condition, and ``subject``."""

    title: str
    text: str
    advice: str
    command: str
    """For a shell, in no language."""


TEXTS: Mapping[AlertKind, AlertText] = {
    AlertKind.DISK: AlertText(
        mark("The disk is nearly full"),
        mark(
            "{free_bytes} are free on the disk of {folder}. When less than {reserve_bytes} are "
            "free, no mail is accepted."
        ),
        mark("Remove what is not needed on this disk, or enlarge it."),
        "df -h {folder}",
    ),
    AlertKind.DISK_FULL: AlertText(
        mark("No mail is accepted: the disk is full"),
        mark(
            "{free_bytes} are free on the disk of {folder}, less than store.free_space_reserve "
            "({reserve_bytes}). Other servers try again for some days; nothing is lost until then."
        ),
        mark("Remove what is not needed on this disk, or enlarge it."),
        "df -h {folder}",
    ),
    AlertKind.QUEUE: AlertText(
        mark("Mail has been waiting for a long time"),
        mark(
            "Messages to {count} recipients have not been delivered for some hours. The oldest "
            "one has been waiting for {oldest_age}. The most frequent reasons: {reasons}"
        ),
        mark(
            "If the reasons name one other server, its administrators can help. If they name "
            "many, look at DNS and the network of this server."
        ),
        "zajil queue list",
    ),
    AlertKind.CERTIFICATE: AlertText(
        mark("A certificate has not been renewed: {subject}"),
        mark(
            "The certificate of {subject} ends on {end_ms}. After that, mail programs and "
            "browsers refuse to connect."
        ),
        mark("Renew it. The server reads the new file by itself."),
        "zajil tls show",
    ),
    AlertKind.RENEWAL: AlertText(
        mark("A certificate cannot be obtained: {subject}"),
        mark("{count} requests for a certificate of {subject} failed. The last reason: {reason}"),
        mark(
            "The server tries again by itself. Check that the name leads to this server in DNS, "
            "and that its ports 80 and 443 can be reached."
        ),
        "zajil tls show {subject}",
    ),
    AlertKind.DNS: AlertText(
        mark("DNS records have changed: {subject}"),
        mark(
            "These records of {subject} were right before, and are missing or different now: "
            "{records}"
        ),
        mark("Correct them in the zone of the domain, unless they were changed on purpose."),
        "zajil dns check {subject}",
    ),
    AlertKind.DKIM_KEY: AlertText(
        mark("Mail is sent without a signature: {subject}"),
        mark(
            "The domain {subject} has no DKIM key that signs. Many servers treat its mail as spam."
        ),
        mark("Publish the record of its key; the key signs as soon as the record is found."),
        "zajil dkim keys {subject} --check",
    ),
    AlertKind.WORKERS: AlertText(
        mark("Processes of the server end again and again"),
        mark("{count} worker processes ended within {window_age}. They were replaced."),
        mark("The log says how they ended. Please report it as a fault of the program."),
        "journalctl -u zajil -p warning -n 50",
    ),
    AlertKind.STORE: AlertText(
        mark("The store is damaged"),
        mark("The last check of the store found {count} faults. The first of them: {faults}"),
        mark("Copy the data folder before you repair anything, and look at the disk."),
        "zajil store check",
    ),
    AlertKind.BACKUP: AlertText(
        mark("There is no recent backup"),
        mark("Last complete backup: {done_ms}. Reason of the last failure: {reason}"),
        mark("Remove the cause, then run the command. The server tries again by itself, too."),
        "zajil backup create",
    ),
    AlertKind.DIRECTORY: AlertText(
        mark("The accounts do not follow the directory"),
        mark(
            "The accounts were last compared with the directory on {done_ms}. The reason of the "
            "last failure: {reason}"
        ),
        mark(
            "Accounts stay as they are. While the directory cannot be reached, its people cannot "
            "log in with their password."
        ),
        "zajil directory check",
    ),
    AlertKind.NODE: AlertText(
        mark("A node is gone: {host}"),
        mark("The node {subject} on {host} shows no sign of life. Other nodes took over its work."),
        mark("Start it again. If it will not come back, remove it from the list of nodes."),
        "zajil node forget {subject}",
    ),
    AlertKind.CLOCK: AlertText(
        mark("The clock of a node is wrong: {host}"),
        mark(
            "The clock of the node {subject} on {host} differs from that of the database by "
            "{skew_age}."
        ),
        mark("Have a time service (NTP) set the clocks of all machines."),
        "zajil node list",
    ),
    AlertKind.UPGRADE: AlertText(
        mark("The upgrade of the database is not finished"),
        mark(
            "A change of the tables (schema {schema}) waited for servers of an older version. None "
            "of them is running any more."
        ),
        mark("Run the command. The servers work on."),
        "zajil upgrade run",
    ),
    AlertKind.SHARD: AlertText(
        mark("The shard {subject} is not available"),
        mark(
            "The database of the shard {subject} cannot be used: {reason}. Mail for its domains is "
            "deferred, and its users cannot log in."
        ),
        mark(
            "Start the database, or correct its address. The server uses it again by itself when "
            "it is there."
        ),
        "zajil shard list",
    ),
}
STILL, OVER = mark("Still: {title}"), mark("Over: {title}")
SINCE, ENDED = mark("Since {begun_ms}."), mark("It began on {begun_ms} and is over.")
RUN = mark("Run: {command}")
FOOTER = mark("The section [alerts] of the configuration says who gets these messages, and when.")
TEST_TITLE = mark("A test: alerts arrive")
TEST_TEXT = mark("This is a test of the alerts of this server. There is no problem.")


@dataclass(frozen=True, slots=True)
class SpokenAlert:
    """A condition in words."""

    title: str
    text: str
    advice: str
    command: str


def speak(condition: AlertCondition, language: Speaker, zone: tzinfo = UTC) -> SpokenAlert:
    """Return a condition in a language."""
    text = TEXTS[condition.kind]
    values = {"subject": _isolated(_clean(condition.subject), language)}
    for name, fact in condition.facts.items():
        values[name] = _isolated(_spell(name, fact, language, zone), language)
    return SpokenAlert(
        fill(text.title, language, values),
        fill(text.text, language, values),
        fill(text.advice, language, values),
        _plain(text.command, {**condition.facts, "subject": _clean(condition.subject)}),
    )


def fill(text: str, language: Speaker, values: Mapping[str, str]) -> str:
    """Return a text of the catalogs with its places filled; a fact that is missing is a dash."""
    return language.gettext(text).format_map(_Known(values))


class _Known(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "-"  # an older version stored the condition


def _plain(command: str, values: Mapping[str, Fact]) -> str:
    return command.format_map(_Known({name: str(value) for name, value in values.items()}))


def _clean(text: str) -> str:
    # Security: what other servers and DNS say has no line of its own and turns nothing around it.
    return printable(" ".join(text.split()), _LONGEST)


def _spell(name: str, fact: Fact, language: Speaker, zone: tzinfo) -> str:
    if name == "reason":
        return _tell_reason(_clean(str(fact)), language)
    if name == "reasons":
        return _COUNTED.sub(
            lambda found: f"{_tell_reason(found[1], language)} ({found[2]})", _clean(str(fact))
        )
    if isinstance(fact, int):
        if name.endswith("_bytes"):
            return language.size(fact)
        if name.endswith("_age"):
            return language.duration(fact)
        if name.endswith("_ms"):
            return spell_moment(fact, language, zone)
    return _clean(str(fact))


def _tell_reason(reason: str, language: Speaker) -> str:
    """Return a reason of ours in a language; replies of others as they are."""
    sentences = _reader().read(reason)
    told = [_tell(one, language) for one in sentences]
    return " ".join(told) if told else _isolated(reason, language)


def _tell(sentence: Sentence, language: Speaker) -> str:
    values: dict[str, str] = {}
    for name, value in sentence.values.items():
        if isinstance(value, Sentence):
            values[name] = _tell(value, language).removesuffix(".")
        elif name in ERROR_PLACES and value in SYSTEM_ERRORS:
            values[name] = language.gettext(str(value))
        else:
            values[name] = _isolated(str(value), language)
    return fill(sentence.text, language, values)


@cache
def _reader() -> ReasonReader:
    return ReasonReader(REASONS)


def spell_moment(at_ms: int, language: Speaker, zone: tzinfo = UTC) -> str:
    """Return a time in words, with its zone where the reader could not know it."""
    return language.moment(at_ms, zone) + (" UTC" if zone is UTC else "")


def _isolated(text: str, language: Speaker) -> str:
    """Keep names of domains and English reasons from turning the words around them."""
    return f"{_ISOLATE}{text}{_POP}" if language.direction == "rtl" else text
