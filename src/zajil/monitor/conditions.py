"""What an operator must know of: each kind of condition, and one that was found. Pure.

The alerts by mail, the strip on the administration pages, ``zajil alerts list`` and the metric
``zajil_alerts`` are views of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

DAY_MS = 86_400_000
_REPEAT_MS = DAY_MS - 600_000
"""Ten minutes less than a day, so that the time of day does not move."""
_QUIET_MS = 900_000
"""What is absent for so long is over: what comes and goes makes no mail each time."""

Fact = str | int


class AlertKind(StrEnum):
    """The conditions; the values are stored and never change."""

    DISK = "disk"
    """Little space is free (``alerts.disk_free``)."""
    DISK_FULL = "disk-full"
    """Less than the reserve: no mail is accepted."""
    QUEUE = "queue"
    """Mail has been waiting for longer than ``alerts.queue_age``."""
    CERTIFICATE = "certificate"
    """It should have been renewed."""
    RENEWAL = "renewal"
    """The authority has refused or not answered several times in a row (ACME)."""
    DNS = "dns"
    """Records that were right are missing or different."""
    DKIM_KEY = "dkim-key"
    """A domain has no key that signs."""
    WORKERS = "workers"
    """Processes of the server end again and again."""
    STORE = "store"
    """The last check of the store found damage."""
    BACKUP = "backup"
    """No backup could be made for longer than ``backup.every``."""
    DIRECTORY = "directory"
    """The accounts do not follow the directory of the organisation."""

    NODE = "node"
    """A node shows no sign of life, and others took over its work."""
    CLOCK = "clock"
    """The clock of a node differs from that of the database."""
    UPGRADE = "upgrade"
    """A change of the tables waited for older nodes, and nobody has made it since."""
    SHARD = "shard"
    """The database of a shard cannot be used."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate of this server."""

    name: str
    """Its first DNS name."""
    not_before_ms: int
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """Something that is not as it should be."""

    kind: AlertKind
    subject: str = ""
    """A domain, the name of a certificate; ``""``: the server."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What the sentences say (``alert_texts``): ``..._bytes`` is a size, ``..._age`` a duration in
    milliseconds, ``..._ms`` a time."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same condition as before."""
        return self.kind.value, self.subject


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that the administrators were told of, or will be."""

    condition: AlertCondition
    begun_ms: int
    told_ms: int
    """When the last mail about it was sent; 0: none could be sent yet."""


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """What is to be told now."""

    begun: Sequence[Alert] = ()
    lasting: Sequence[Alert] = ()
    """Told a day ago, and still so."""
    ended: Sequence[Alert] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.lasting or self.ended)


def find_changes(
    known: Iterable[Alert],
    found: Iterable[AlertCondition],
    answered: Iterable[AlertKind],
    absent: MutableMapping[tuple[str, str], int],
    now_ms: int,
) -> AlertChanges:
    """Return what is to be told, and with which facts.

    Args:
        known: what was begun before.
        found: what holds now.
        answered: kinds of which it is known what holds; the others stay as they are.
        absent: since when a known condition has been absent; kept by the caller, changed here.
        now_ms: the time.
    """
    old = {alert.condition.key: alert for alert in known}
    new = {condition.key: condition for condition in found}
    begun, lasting, ended = [], [], []
    for key, condition in new.items():
        absent.pop(key, None)
        before = old.get(key)
        if before is None or not before.told_ms:
            begun.append(Alert(condition, now_ms if before is None else before.begun_ms, now_ms))
        elif now_ms - before.told_ms >= _REPEAT_MS:
            lasting.append(Alert(condition, before.begun_ms, now_ms))
    known_kinds = set(answered)
    for key, alert in old.items():
        if key in new or alert.condition.kind not in known_kinds:
            continue
        if now_ms - absent.setdefault(key, now_ms) >= _QUIET_MS:
            ended.append(alert)
    return AlertChanges(begun, lasting, ended)
