"""Makes the chore of the alerts: what is watched, and in which language it is told."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zajil.app.directory import find_directory_problem
from zajil.app.monitoring import list_certificates
from zajil.app.resources import WorkerResources, own_mailer
from zajil.certificates.listing import list_all
from zajil.config.options_shards import MAIN_SHARD
from zajil.monitor.alert_texts import Speaker
from zajil.monitor.alerts import AlertKeeper, AlertMailer
from zajil.monitor.conditions import AlertCondition, AlertKind
from zajil.monitor.finders import (
    AlertWatch,
    Found,
    WorkerWatch,
    find_ending_certificates,
    find_full_disk,
    find_ill_nodes,
    find_late_mail,
    find_old_backup,
    find_unfinished_upgrade,
    find_unsigned_domains,
)
from zajil.monitor.meters import WORKER_DEATHS
from zajil.monitor.store_check import find_damaged_store
from zajil.operations.dns_watch import find_lost_records
from zajil.web.language import OWN_LANGUAGE, load_languages

if TYPE_CHECKING:
    from zajil.app.sharded import WorkerShards

LOOK_SECONDS = 60.0
_HOUR = 3600.0
_DAY = 24 * _HOUR
_FAILURES = 3
"""A certificate that could not be obtained once or twice is no matter."""
_DNS_DELAY = 600.0
"""A start, which mail waits for, needs DNS and this worker for other things."""


_OF_THE_SERVER = frozenset(
    {AlertKind.DISK, AlertKind.CERTIFICATE, AlertKind.WORKERS},
)
"""What the main shard looks at for all."""


def alert_keeper(resources: WorkerResources) -> AlertKeeper:
    """Return what looks at all conditions and tells of them."""
    configuration, shards = resources.configuration, resources.shards
    is_main = resources.shard == MAIN_SHARD
    letters = AlertMailer(
        mailer=own_mailer(resources),
        options=configuration.alerts,
        hostname=configuration.server.hostname,
        shard="" if is_main else resources.shard,
        languages=find_language,
        elsewhere=None if shards is None or is_main else shards.resources[MAIN_SHARD].store,
    )
    watches = _watches(resources)
    if not is_main:
        watches = [one for one in watches if not one.kinds & _OF_THE_SERVER]
    return AlertKeeper(letters, watches)


def find_language(code: str) -> Speaker:
    """Return the language of a code; English for one that is not there."""
    languages = load_languages()
    return languages.get(code) or languages[OWN_LANGUAGE]


def _watches(resources: WorkerResources) -> Sequence[AlertWatch]:
    store, clock, configuration = resources.store, resources.clock, resources.configuration
    options, reserve = configuration.alerts, configuration.store.free_space_reserve
    certificates = functools.partial(list_certificates, resources)

    def deaths() -> float:
        return sum(resources.meter_table.values(WORKER_DEATHS).values())

    watches = [
        AlertWatch(
            frozenset({AlertKind.DISK, AlertKind.DISK_FULL}),
            functools.partial(find_full_disk, store.data_dir, options, reserve),
            LOOK_SECONDS,
        ),
        AlertWatch(
            frozenset({AlertKind.QUEUE}), functools.partial(find_late_mail, store, options, clock)
        ),
        AlertWatch(
            frozenset({AlertKind.CERTIFICATE}),
            functools.partial(find_ending_certificates, certificates, clock),
            _HOUR,
        ),
        AlertWatch(frozenset({AlertKind.WORKERS}), WorkerWatch(deaths, clock).find, LOOK_SECONDS),
        AlertWatch(frozenset({AlertKind.STORE}), functools.partial(find_damaged_store, store)),
    ]
    if store.standing.is_shared:
        find_nodes = functools.partial(find_ill_nodes, store)
        find_upgrade = functools.partial(find_unfinished_upgrade, store)
        watches += [
            AlertWatch(frozenset({AlertKind.NODE, AlertKind.CLOCK}), find_nodes, LOOK_SECONDS),
            AlertWatch(frozenset({AlertKind.UPGRADE}), find_upgrade, _HOUR),
        ]
    if resources.shards is not None and configuration.store.shards:
        find_shards = functools.partial(_find_lost_shards, resources.shards)
        watches.append(AlertWatch(frozenset({AlertKind.SHARD}), find_shards, LOOK_SECONDS))
    if configuration.directory.urls:
        find_directory = functools.partial(find_directory_problem, store, clock)
        watches.append(AlertWatch(frozenset({AlertKind.DIRECTORY}), find_directory, LOOK_SECONDS))
    if configuration.backup.target is not None:
        find_backup = functools.partial(find_old_backup, store, configuration.backup, clock)
        watches.append(AlertWatch(frozenset({AlertKind.BACKUP}), find_backup))
    if configuration.acme.directory:
        find_failures = functools.partial(_find_failures, resources)
        watches.append(AlertWatch(frozenset({AlertKind.RENEWAL}), find_failures, _HOUR))
    if resources.signer is not None:
        find = functools.partial(find_unsigned_domains, store, clock)
        watches.append(AlertWatch(frozenset({AlertKind.DKIM_KEY}), find, _HOUR))
    if options.dns:
        find_dns = functools.partial(_find_dns, resources)
        watches.append(AlertWatch(frozenset({AlertKind.DNS}), find_dns, _DAY, _DNS_DELAY))
    return watches


async def _find_lost_shards(shards: WorkerShards) -> Found:
    lost = await shards.find_lost()
    return [
        AlertCondition(AlertKind.SHARD, shard, {"reason": reason}) for shard, reason in lost.items()
    ]


async def _find_failures(resources: WorkerResources) -> Found:
    configuration, now_ms = resources.configuration, resources.clock.now_ms()
    listed = await resources.store.read(lambda conn: list_all(conn, configuration, now_ms))
    return [
        AlertCondition(
            AlertKind.RENEWAL, one.name, {"count": one.failures, "reason": one.reason or "-"}
        )
        for one in listed
        if one.failures >= _FAILURES
    ]


async def _find_dns(resources: WorkerResources) -> Found:
    lost = await find_lost_records(
        resources.store,
        resources.configuration,
        resources.resolver.resolve,
        resources.clock.now_ms(),
    )
    found = [(one.domain, ", ".join(one.records)) for one in lost]
    return [AlertCondition(AlertKind.DNS, name, {"records": records}) for name, records in found]
