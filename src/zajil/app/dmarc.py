"""Reports of DMARC in a worker: every one counts, the first of a node sends and collects."""

from __future__ import annotations

import functools
from collections.abc import Coroutine
from typing import Any

from zajil.app.resources import WorkerResources
from zajil.check.dmarc_counts import DmarcCounts
from zajil.config.options import Configuration
from zajil.deliver.dmarc_reporter import DmarcReporter
from zajil.receive.report_collector import ReportCollector
from zajil.store.engine.open import Store
from zajil.store.reports.dmarc_seen import count_seen


def make_counts(store: Store, configuration: Configuration) -> DmarcCounts | None:
    """Make the counts of a worker; ``None``: reports are switched off."""
    interval_ms = configuration.check.dmarc.report_interval
    if not interval_ms:
        return None
    return DmarcCounts(functools.partial(store.write_later, count_seen), interval_ms)


def dmarc_runs(means: WorkerResources) -> list[Coroutine[Any, Any, object]]:
    """Give what runs beside the listeners."""
    configuration, store = means.configuration, means.store
    options, hostname = configuration.check.dmarc, configuration.server.hostname
    runs: list[Coroutine[Any, Any, object]] = []
    if means.dmarc_counts is not None:
        runs.append(means.dmarc_counts.run())
    if means.number == 0:
        runs.append(ReportCollector(store, options, means.clock, hostname).run())
    if means.number == 0 and options.report_interval:
        reporter = DmarcReporter(
            store,
            means.resolver.resolve,
            options,
            means.clock,
            means.random,
            hostname=hostname,
            lifetime_ms=configuration.queue.lifetime,
            signer=means.signer,
        )
        runs.append(reporter.run())
    return runs
