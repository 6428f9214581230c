"""Every chore of the server with its interval, and what each node watches for itself.

A chore is done by one worker of all nodes (``app.chores``). The certificate belongs to a node, so
the first worker of each node watches it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from zajil.accept.held_notice import notify_of_held_accounts
from zajil.accept.quota_notice import notify_of_full_mailboxes
from zajil.app.alerting import LOOK_SECONDS, alert_keeper
from zajil.app.backups import BACKUP_SECONDS, BackupMaker
from zajil.app.certificates import certificate_chore
from zajil.app.chores import Chore, repeated
from zajil.app.directory import mirror_directory
from zajil.app.monitoring import note_success
from zajil.app.resources import WorkerResources, guarded_fetcher, own_mailer
from zajil.app.sts_policies import sts_policies
from zajil.check.learned.greylist import prune_greylist
from zajil.check.learned.reputation import forget_history, learner_of
from zajil.check.learned.trainer import Trainer
from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.core.ids import MailboxId
from zajil.keys.upkeep import KeyUpkeep
from zajil.monitor.store_check import NightlyCheck, fill_digests
from zajil.read.indexer import Indexer
from zajil.read.push_sender import PushSender
from zajil.reports.collector import ReportCollector
from zajil.reports.dmarc.sending import DmarcReports
from zajil.reports.kind import ReportKind
from zajil.reports.sending import ReportSender
from zajil.reports.tls.sending import TlsReports
from zajil.store.blobs.garbage import collect_garbage
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.deleted import PORTION, MakeRoom, make_room, purge_old
from zajil.store.mail.room import list_usage
from zajil.store.mail.sender_logos import forget_logos
from zajil.store.mail.tracking import PRUNED_AT_ONCE, delete_events, delete_mails
from zajil.store.mail.vanished import ForgetExpunged, find_forgettable, forget_expunged
from zajil.store.people.audit import delete_audit
from zajil.web.push_texts import push_texts

_MINUTE = 60.0
_HOUR = 3600.0
_AT_ONCE = 500
"""Expunged messages that are forgotten in one commit."""


def make_chores(resources: WorkerResources) -> Sequence[Chore]:
    """List the chores that the configuration asks for; the same on all workers."""
    store, clock, configuration = resources.store, resources.clock, resources.configuration
    dmarc, hostname = configuration.check.dmarc, configuration.server.hostname
    every = functools.partial(_every, resources)
    indexer = Indexer(store)
    collector = ReportCollector(store, dmarc, clock, hostname)
    chores = [
        every("history", _HOUR, functools.partial(_prune_history, resources)),
        every("tracking", _HOUR, functools.partial(_prune_tracking, resources)),
        every("traffic", _HOUR, resources.traffic.prune),
        every(
            "held accounts",
            _HOUR,
            functools.partial(notify_of_held_accounts, own_mailer(resources)),
        ),
        every(
            "quotas",
            _MINUTE,
            functools.partial(notify_of_full_mailboxes, own_mailer(resources)),
            functools.partial(make_room_for_all, store),
        ),
        every("reports received", _MINUTE, collector.look),
        Chore("indexing", indexer.run),
        Chore("notifications", _push_sender(resources).run),
        every("threads", 24 * _HOUR, indexer.prune),
        *_care_of_the_store(resources),
        *_care_of_shards(resources),
    ]
    policies = sts_policies(resources)
    if policies is not None:
        chores.append(every("MTA-STS policies", _HOUR, policies.refresh))
    if configuration.alerts.enabled:
        chores.append(every("alerts", LOOK_SECONDS, alert_keeper(resources).look))
    if configuration.directory.urls:
        chores.append(_directory_chore(resources))
    if configuration.mail.echo_accounts:
        chores.append(_echo_chore(resources))
    for kind in _sent_reports(configuration):
        sender = _report_sender(resources, kind)
        chores.append(every(f"{kind.title}s sent", 5 * _MINUTE, sender.look))
    if resources.signer is not None:
        keys = KeyUpkeep(store, resources.resolver.resolve, configuration.keys, clock)
        chores.append(Chore("signing keys", keys.run))
    if configuration.acme.directory is not None and resources.server_tls is not None:
        chores.append(certificate_chore(resources, resources.server_tls))
    if resources.checks.knowledge is not None:
        learner = learner_of(resources.checks.knowledge.history, hostname)
        trainer = Trainer(store, configuration.check.words, clock, [learner])
        chores.append(Chore("learning", trainer.run))
        chores.append(every("learned words", _HOUR, trainer.prune))
    return chores


def _care_of_the_store(resources: WorkerResources) -> Sequence[Chore]:
    store, every = resources.store, functools.partial(_every, resources)
    night = NightlyCheck(store, resources.clock)
    options = resources.configuration.backup
    maker = BackupMaker(store, options, resources.clock, resources.command)
    return [
        every("backups", BACKUP_SECONDS, maker.look),
        every("expunged messages", 24 * _HOUR, functools.partial(_prune_expunged, resources)),
        every("deleted messages", _HOUR, functools.partial(_prune_deleted, resources)),
        every("store check", _MINUTE, night.look),
        every("digests", _HOUR, functools.partial(fill_digests, store)),
        every("garbage", _MINUTE, functools.partial(_collect_garbage, resources)),
        *_sweeps(resources),
    ]


def _sweeps(resources: WorkerResources) -> Sequence[Chore]:
    if not resources.store.blobs.reads_objects:
        return ()
    return [_every(resources, "objects", 24 * _HOUR, functools.partial(_sweep, resources))]


def _care_of_shards(resources: WorkerResources) -> Sequence[Chore]:
    if resources.shards is None or resources.shard != MAIN_SHARD:
        return []
    return [_every(resources, "moved accounts", _MINUTE, resources.shards.let_moved_go)]


def _every(
    resources: WorkerResources,
    name: str,
    seconds: float,
    *steps: Callable[[], Awaitable[object]],
) -> Chore:
    return repeated(name, seconds, *steps, note_success(resources, name))


def _echo_chore(resources: WorkerResources) -> Chore:
    # Imported here, because few servers have such accounts.
    from zajil.accept.echo import ECHO_SECONDS, EchoAccounts

    configuration = resources.configuration
    accounts, hostname = configuration.mail.echo_accounts, configuration.server.hostname
    echo = EchoAccounts(own_mailer(resources), accounts, hostname)
    return _every(resources, "echo", ECHO_SECONDS, echo.look)


def _directory_chore(resources: WorkerResources) -> Chore:
    seconds = resources.configuration.directory.every_ms / 1000
    return _every(resources, "directory", seconds, functools.partial(mirror_directory, resources))


def _push_sender(resources: WorkerResources) -> PushSender:
    configuration = resources.configuration
    return PushSender(
        resources.store,
        guarded_fetcher(resources),
        resources.clock,
        resources.random,
        # RFC 8292 section 2.1: who to ask when our requests are a nuisance.
        f"mailto:postmaster@{configuration.server.hostname}",
        push_texts,
    )


def _sent_reports(configuration: Configuration) -> list[ReportKind]:
    """Return the kinds of reports that go to others."""
    kinds: list[ReportKind] = []
    if configuration.check.dmarc.report_interval_ms:
        kinds.append(DmarcReports(configuration.check.dmarc.report_contact))
    if configuration.deliver.tls_reports:
        kinds.append(TlsReports())
    return kinds


def _report_sender(resources: WorkerResources, kind: ReportKind) -> ReportSender:
    return ReportSender(
        kind,
        own_mailer(resources),
        resources.resolver.resolve,
        hostname=resources.configuration.server.hostname,
    )


async def _prune_history(resources: WorkerResources) -> None:
    """Forget what was known of correspondents, greylisted peers and logos long ago."""
    now_ms = resources.clock.now_ms()
    await forget_history(resources.store, now_ms)
    await resources.store.write(forget_logos, now_ms)
    await prune_greylist(resources.store, resources.configuration.check.greylist, now_ms)


async def _prune_deleted(resources: WorkerResources) -> None:
    """Remove messages for good that were deleted ``mail.undelete_days`` ago."""
    store = resources.store
    before_ms = resources.clock.now_ms() - store.caps.undelete_ms
    while await store.write(purge_old, before_ms) == PORTION:
        pass


async def make_room_for_all(store: Store) -> None:
    """Remove the oldest deleted messages of accounts that pass their quotas with them."""
    usages = await store.read(lambda conn: list_usage(conn, store.caps))
    for usage in usages.values():
        messages, size = usage.excess
        if usage.deleted_messages and (messages or size):
            item = MakeRoom(usage.account_id, messages, size)
            await store.write_large(make_room, item, usage.account_id)


async def _prune_tracking(resources: WorkerResources) -> None:
    """Delete journeys and audit events that are older than ``tracking.retention``."""
    before_ms = resources.clock.now_ms() - resources.configuration.tracking.retention_ms
    while await resources.store.write(delete_mails, before_ms) == PRUNED_AT_ONCE:
        pass
    await resources.store.write(delete_events, before_ms)
    await resources.store.write(delete_audit, before_ms)


async def _collect_garbage(resources: WorkerResources) -> None:
    """Delete the bytes of large messages that no row names any more."""
    await collect_garbage(resources.store, resources.clock.now_ms())


async def _sweep(resources: WorkerResources) -> None:
    """Find objects in S3 that crashes left."""
    from zajil.store.blobs.prefix import sweep_objects  # imported before the fork, where it is used

    await sweep_objects(resources.store, resources.clock.now_ms())


async def _prune_expunged(resources: WorkerResources) -> None:
    """Forget what was expunged before ``store.expunged_retention``."""
    before_ms = resources.clock.now_ms() - resources.configuration.store.expunged_retention_ms
    await forget_old_expunged(resources.store, before_ms)


async def forget_old_expunged(store: Store, before_ms: int) -> None:
    """Forget which messages were expunged before a time, in all mailboxes."""
    last: MailboxId | None = MailboxId(0)
    while last is not None:
        after = last
        found, last = await store.read(lambda conn: find_forgettable(conn, before_ms, after))  # noqa: B023
        for account_id, mailbox_id in found:
            item = ForgetExpunged(account_id, mailbox_id, _AT_ONCE, before_ms)
            with suppress(NoSuchMailbox):  # deleted meanwhile
                while await store.write(forget_expunged, item):
                    pass
