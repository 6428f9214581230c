"""The text that Prometheus gets: all counts of this node, and the states."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from zajil.monitor.meter_table import MeterTable
from zajil.monitor.meters import METERS, MeterKind
from zajil.monitor.state import Values

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def write_metrics(table: MeterTable, states: Values) -> bytes:
    """Return all metrics in the text format of Prometheus."""
    # Imported here, because few servers are asked for metrics.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Own(Collector):
        def collect(self) -> Iterator[Metric]:
            return _families(table, states)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Own())
    return generate_latest(registry)


def _families(table: MeterTable, states: Values) -> Iterator[Metric]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    for meter in METERS:
        labels = list(meter.labels)
        if meter.kind is MeterKind.HISTOGRAM:
            found = table.histogram(meter)
            bounds = [*map(str, meter.buckets), "+Inf"]
            buckets = list(zip(bounds, accumulate(found.counts), strict=True))
            yield HistogramMetricFamily(meter.name, meter.help, buckets, found.sum)
            continue
        make = CounterMetricFamily if meter.kind is MeterKind.COUNTER else GaugeMetricFamily
        family = make(meter.name, meter.help, labels=labels)
        values = states.get(meter, {}) if meter.kind is MeterKind.STATE else table.values(meter)
        for own, value in values.items():
            if meter.kind is MeterKind.LATEST and not value:
                continue  # it was never set
            family.add_metric(own, value)
        yield family
