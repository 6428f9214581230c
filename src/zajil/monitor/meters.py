"""Every metric of this server: name, kind, text and the values of its labels, each once. Pure.

``docs/reference/metrics.md`` is made from this list.

Laws:
- A name never changes once released. Names follow the conventions of Prometheus: base units, a
  counter ends in ``_total``.
- Labels have few values, and all of them stand here but for names that an operator chose
  (certificates). No address, no peer, no account is ever a label.
- What is counted has a place in ``meter_table``; a state is read when it is asked for (``state``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from zajil.core.service import RecipientState, Service
from zajil.monitor.conditions import AlertKind
from zajil.store.engine.nodes import NodeState


class MeterKind(Enum):
    """How a metric behaves."""

    COUNTER = "counter"
    """Only grows, until the server starts anew."""
    HISTOGRAM = "histogram"
    """Observations in buckets, with their sum."""
    LATEST = "latest"
    """A gauge that the workers set: the largest of theirs counts."""
    STATE = "state"
    """A gauge that is read when it is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Meter:
    """One metric."""

    name: str
    """With the suffix ``_total`` of a counter."""
    kind: MeterKind
    help: str
    """One sentence for the operator."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by label; an empty tuple: the operator chose them."""
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, ascending, without infinity."""

    @property
    def exposed(self) -> str:
        """How Prometheus calls its kind."""
        is_gauge = self.kind in (MeterKind.LATEST, MeterKind.STATE)
        return "gauge" if is_gauge else self.kind.value


OTHER = "other"
"""Stands for each value of a label that is not in the list."""
STATUSES = (
    *("4.2.1", "4.2.2", "4.3.0", "4.3.1", "4.4.3", "4.5.3", "4.7.0", "4.7.1", "4.7.5"),
    *("5.1.1", "5.1.2", "5.1.3", "5.1.7", "5.2.1", "5.2.2", "5.3.4", "5.4.6", "5.5.1", "5.5.2"),
    *("5.5.4", "5.6.0", "5.6.7", "5.7.0", "5.7.1", "5.7.8", "5.7.9", "5.7.26", OTHER),
)
"""Enhanced status codes (RFC 3463) that this server answers with."""
CHECKS: Mapping[str, tuple[str, ...]] = {
    "check": (
        *("format", "spf", "spf helo", "dkim", "dmarc", "arc", "iprev", "dns lists", "clamav"),
        *("rspamd", OTHER),
    ),
    "result": (
        *("pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"),
        *("remarks", OTHER),
    ),
}
CHORES = (
    *("history", "tracking", "traffic", "expunged messages", "held accounts", "quotas"),
    *("deleted messages", "reports received", "DMARC reports sent", "TLS reports sent", "threads"),
    *("learned words", "alerts", "MTA-STS policies", "backups"),
)
"""Background tasks that are done again and again, by the name that their lease has."""
_SERVICES = (*(one.value for one in Service), OTHER)
_TLS = ("TLSv1.2", "TLSv1.3", OTHER)
_SIZES = tuple(float(1024 * 4**step) for step in range(9))
_QUEUE_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 259200.0)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_COMMIT_UNITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

CONNECTIONS = Meter(
    "zajil_connections_total",
    MeterKind.COUNTER,
    "Connections that became sessions.",
    {"service": _SERVICES},
)
CONNECTIONS_REFUSED = Meter(
    "zajil_connections_refused_total",
    MeterKind.COUNTER,
    "Connections that did not become sessions.",
    {
        "service": _SERVICES,
        "reason": ("too many", "too many of one address", "tls", "no proxy header", OTHER),
    },
)
LOGINS = Meter(
    "zajil_logins_total",
    MeterKind.COUNTER,
    "Log-ins by service and result.",
    {"service": _SERVICES, "result": ("ok", "failed")},
)
TLS_SESSIONS = Meter(
    "zajil_tls_sessions_total",
    MeterKind.COUNTER,
    "SMTP sessions with TLS that brought a mail or were refused, by TLS version.",
    {"version": _TLS},
)
MAILS_ACCEPTED = Meter(
    "zajil_mails_accepted_total",
    MeterKind.COUNTER,
    "Mails that were accepted from other servers and from users.",
    {"service": _SERVICES},
)
MAILS_REFUSED = Meter(
    "zajil_mails_refused_total",
    MeterKind.COUNTER,
    "Mails that were read, and refused or deferred, by enhanced status code.",
    {"status": STATUSES},
)
RECIPIENTS_REFUSED = Meter(
    "zajil_recipients_refused_total",
    MeterKind.COUNTER,
    "Recipients that were refused or deferred at RCPT, by enhanced status code.",
    {"status": STATUSES},
)
MESSAGE_SIZE = Meter(
    "zajil_message_size_bytes",
    MeterKind.HISTOGRAM,
    "Size of the accepted messages.",
    buckets=_SIZES,
)
VERDICTS = Meter(
    "zajil_verdicts_total",
    MeterKind.COUNTER,
    "Verdicts on received mails.",
    {"verdict": ("accept", "junk", "defer", "reject", OTHER)},
)
CHECK_RESULTS = Meter(
    "zajil_check_results_total",
    MeterKind.COUNTER,
    "Results of the checks of received mails.",
    CHECKS,
)
COPIES_FILED = Meter(
    "zajil_copies_filed_total", MeterKind.COUNTER, "Copies that were put into mailboxes here."
)
DELIVERIES = Meter(
    "zajil_deliveries_total",
    MeterKind.COUNTER,
    "Results of deliveries to other servers, by recipient.",
    {"result": ("delivered", "deferred", "failed", "expired")},
)
DELIVERY_SECONDS = Meter(
    "zajil_delivery_seconds",
    MeterKind.HISTOGRAM,
    "Time from the acceptance of a mail until another server accepted it.",
    buckets=_QUEUE_SECONDS,
)
ATTEMPTS = Meter(
    "zajil_delivery_attempts_total",
    MeterKind.COUNTER,
    "Connections to other servers, by TLS version.",
    {"tls": (*_TLS, "none")},
)
DSNS = Meter(
    "zajil_delivery_notifications_total",
    MeterKind.COUNTER,
    "Delivery status notifications that were sent.",
)
FAULTS = Meter("zajil_faults_total", MeterKind.COUNTER, "Internal errors.")
COMMITS = Meter(
    "zajil_store_commit_seconds",
    MeterKind.HISTOGRAM,
    "Duration of the commits of the store.",
    buckets=_COMMIT_SECONDS,
)
COMMIT_UNITS = Meter(
    "zajil_store_commit_units",
    MeterKind.HISTOGRAM,
    "Units of work in one commit of the store.",
    buckets=_COMMIT_UNITS,
)
STORE_ERRORS = Meter(
    "zajil_store_errors_total",
    MeterKind.COUNTER,
    "Units of work that the store could not write; full: the disk, or the reserve, was reached.",
    {"reason": ("full", "unavailable")},
)
DNS_QUERIES = Meter(
    "zajil_dns_queries_total",
    MeterKind.COUNTER,
    "Questions to the name servers that were not answered from memory.",
    {"outcome": ("found", "no records", "no such name", "failed")},
)
WORKER_DEATHS = Meter(
    "zajil_worker_deaths_total",
    MeterKind.COUNTER,
    "Worker processes that ended unexpectedly and were replaced.",
)
CHORE_SUCCESS = Meter(
    "zajil_chore_last_success_timestamp_seconds",
    MeterKind.LATEST,
    "When a background task was last completed by this node.",
    {"chore": CHORES},
)
SPANS = Meter(
    "zajil_trace_spans_total",
    MeterKind.COUNTER,
    "Spans of traces; dropped: the collector was away, or too slow.",
    {"result": ("sent", "dropped")},
)
START = Meter(
    "zajil_start_timestamp_seconds",
    MeterKind.LATEST,
    "When the newest worker of this node started.",
)

BUILD = Meter(
    "zajil_build_info", MeterKind.STATE, "Version of the program; always 1.", {"version": ()}
)
SESSIONS = Meter(
    "zajil_sessions",
    MeterKind.STATE,
    "Open sessions of this node.",
    {"service": tuple(one.value for one in Service)},
)
STORE_UP = Meter(
    "zajil_store_up", MeterKind.STATE, "Whether the store can be read; the next ones need it."
)
QUEUE = Meter(
    "zajil_queue_recipients",
    MeterKind.STATE,
    "Recipients in the queue, of all nodes.",
    {"state": (RecipientState.WAITING.value, RecipientState.HELD.value)},
)
QUEUE_AGE = Meter(
    "zajil_queue_oldest_age_seconds",
    MeterKind.STATE,
    "Age of the oldest recipient in the queue; 0: there is none.",
    {"state": (RecipientState.WAITING.value, RecipientState.HELD.value)},
)
NODES = Meter(
    "zajil_nodes",
    MeterKind.STATE,
    "Nodes that share the store (PostgreSQL), by state (zajil node list).",
    {"state": tuple(one.value for one in NodeState)},
)
CLOCK_SKEW = Meter(
    "zajil_clock_skew_seconds",
    MeterKind.STATE,
    "Clock of this node minus that of the database (PostgreSQL).",
)
REPLICA_LAG = Meter(
    "zajil_replica_lag_seconds",
    MeterKind.STATE,
    "How far the standby of store.replica_url is behind; absent: it cannot be read.",
)
ACCOUNTS = Meter("zajil_accounts", MeterKind.STATE, "Accounts.")
HELD_ACCOUNTS = Meter(
    "zajil_accounts_held", MeterKind.STATE, "Accounts whose mail to other servers is held."
)
DOMAINS = Meter("zajil_domains", MeterKind.STATE, "Domains of this server.")
ALERTS = Meter(
    "zajil_alerts",
    MeterKind.STATE,
    "Conditions that need an operator (zajil alerts list).",
    {"kind": tuple(one.value for one in AlertKind)},
)
BACKUP_AGE = Meter(
    "zajil_backup_age_seconds",
    MeterKind.STATE,
    "Age of the last backup to backup.target; absent: there is none.",
)
DATABASE_SIZE = Meter("zajil_database_size_bytes", MeterKind.STATE, "Size of the database.")
CERTIFICATE_END = Meter(
    "zajil_certificate_not_after_timestamp_seconds",
    MeterKind.STATE,
    "When a certificate of this server ends, by its first name.",
    {"name": ()},
)
DISK_FREE = Meter(
    "zajil_disk_free_bytes", MeterKind.STATE, "Free space on the disk of the data folder."
)
DISK_SIZE = Meter("zajil_disk_size_bytes", MeterKind.STATE, "Size of the disk of the data folder.")
DISK_RESERVE = Meter(
    "zajil_disk_reserve_bytes",
    MeterKind.STATE,
    "Free space below which no mail is accepted (store.free_space_reserve).",
)

SHARD_UP = Meter(
    "zajil_shard_up",
    MeterKind.STATE,
    "Whether the database of a shard besides main can be read (store.shards). What has no label "
    "`shard` is about main, but for what is counted: that is of all shards.",
    {"shard": ()},
)
SHARD_QUEUE = Meter(
    "zajil_shard_queue_recipients",
    MeterKind.STATE,
    "Recipients in the queue of a shard, of all nodes.",
    {"shard": (), "state": (RecipientState.WAITING.value, RecipientState.HELD.value)},
)
SHARD_QUEUE_AGE = Meter(
    "zajil_shard_queue_oldest_age_seconds",
    MeterKind.STATE,
    "Age of the oldest recipient in the queue of a shard; 0: there is none.",
    {"shard": (), "state": (RecipientState.WAITING.value, RecipientState.HELD.value)},
)
SHARD_ACCOUNTS = Meter(
    "zajil_shard_accounts", MeterKind.STATE, "Accounts of a shard.", {"shard": ()}
)
SHARD_ALERTS = Meter(
    "zajil_shard_alerts",
    MeterKind.STATE,
    "Conditions in a shard that need an operator (zajil --shard NAME alerts list).",
    {"shard": ()},
)
SHARD_BACKUP_AGE = Meter(
    "zajil_shard_backup_age_seconds",
    MeterKind.STATE,
    "Age of the last backup of a shard; absent: there is none.",
    {"shard": ()},
)

METERS: tuple[Meter, ...] = tuple(one for one in list(globals().values()) if type(one) is Meter)
"""All of them, in the order of this file."""
COUNTED = tuple(one for one in METERS if one.kind is not MeterKind.STATE)
"""Those that have a place in ``meter_table``."""
