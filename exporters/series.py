"""How amounts become the series of one metric: summed by their labels, then divided into the base unit.

Amounts stay the integers that are stored until each series is summed; only the sum is divided. The quotient of two
integers is the nearest float64 and keeps their order, so a counter never goes back. Core-milliseconds can be read back
from core-seconds as `round(value * 1000)` while there are fewer than 2^51 of them in a series, 71 thousand years of a
core: a float64 has 53 bits, so the quotient and the product are each off by less than a quarter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from exporters.readings import Labels, Reading
from exporters.scrapes import Scrape
from exporters.totals import WAIT_BOUNDS, WaitTotal
from registry.resources import CPU, MILLI


class Kind(StrEnum):
    """What may be done with a metric's series."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """What a metric is a projection of."""

    REGISTER = "register"
    SNAPSHOT = "snapshot"
    LEDGER = "ledger"
    JOURNAL = "journal"
    PROCESS = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What anybody may know of a metric: its labels are enumerated, none is free text or names a person."""

    name: str
    kind: Kind
    says: str
    labels: tuple[str, ...] = ()
    source: Source


def thousandths_of_cores(labels: Labels) -> int:
    """Return how many stored units make one of a resource, which is the last label: only cores come in parts."""
    return MILLI if labels[-1] == CPU else 1


def parts(count: int) -> Callable[[Labels], int]:
    """Return the rule that `count` of the stored units make one, whatever the labels."""
    return lambda _: count


WHOLE: Final = parts(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount(Family):
    """A gauge or a counter. `stored` says how many of the stored units make one of the metric's."""

    read: Reading
    stored: Callable[[Labels], int] = WHOLE

    def metric(self, scrape: Scrape | None) -> Metric:
        """Return the metric with its series in the order of their labels; without a scrape it has none."""
        make = CounterMetricFamily if self.kind is Kind.COUNTER else GaugeMetricFamily
        metric = make(self.name, self.says, labels=self.labels)
        for labels, amount in sorted(summed(self.read(scrape)).items()) if scrape else ():
            metric.add_metric(labels, amount / self.stored(labels))
        return metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits(Family):
    """A histogram of waits, each place of which is read once."""

    kind: Kind = Kind.HISTOGRAM
    read: Callable[[Scrape], Iterator[tuple[Labels, WaitTotal]]]

    def metric(self, scrape: Scrape | None) -> Metric:
        """Return the metric with its series in the order of their labels; without a scrape it has none."""
        metric = HistogramMetricFamily(self.name, self.says, labels=self.labels)
        bounds = [*(str(float(bound)) for bound in WAIT_BOUNDS), "+Inf"]
        for labels, total in sorted(self.read(scrape)) if scrape else ():
            buckets = list(zip(bounds, accumulate(total.placed), strict=True))
            metric.add_metric(labels, buckets, total.waited_seconds)
        return metric


def summed(amounts: Iterable[tuple[Labels, int]]) -> dict[Labels, int]:
    """Return one amount for each set of labels: the client would show a series twice without a word."""
    result: dict[Labels, int] = defaultdict(int)
    for labels, amount in amounts:
        result[labels] += amount
    return result
