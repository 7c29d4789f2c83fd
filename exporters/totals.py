"""What only ever grows: the ledger's entries and the placements of the journal, summed by what metrics tell apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from operations.ports.office import EntrySum, HitCount, WaitCount
from quotas.ledger import NO_USAGE, EntryKind, Usage
from registry.ids import InstitutionId, PoolId
from scheduler.estimates import Side
from scheduler.requests import RequestClass

WAIT_BOUNDS: Final = (1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200, 604_800)
"""Seconds. The targets of waiting are judged at a minute, five minutes, an hour and four hours: each is a bound."""


PERCENTS: Final = (50, 90)
"""In how many of 100 the two intervals of an estimate should hold."""


class EntryPlace(NamedTuple):
    """What metrics tell entries apart by."""

    institution: InstitutionId
    pool: PoolId | None
    kind: EntryKind


class WaitPlace(NamedTuple):
    """What metrics tell placements apart by."""

    institution: InstitutionId
    pool: PoolId
    request_class: RequestClass


class HitPlace(NamedTuple):
    """What metrics tell estimates apart by: the pool, in how many of 100 the interval should hold, and where it lay."""

    pool: PoolId
    percent: int
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTotal:
    """The sum of some entries; `absorbed` is the part of `amount` that the center paid itself."""

    entries: int = 0
    amount: int = 0
    absorbed: int = 0
    usage: Usage = NO_USAGE

    def plus(self, more: EntrySum) -> EntryTotal:
        """Return the total with more entries in it."""
        return EntryTotal(
            entries=self.entries + more.entries,
            amount=self.amount + more.amount,
            absorbed=self.absorbed + more.absorbed,
            usage=self.usage + more.usage,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitTotal:
    """How many placements fell under each of `WAIT_BOUNDS` and no lower one, and what all of them had waited.

    The last number of `placed` counts those beyond every bound.
    """

    placed: tuple[int, ...] = (0,) * (len(WAIT_BOUNDS) + 1)
    waited_seconds: int = 0

    def plus(self, more: WaitCount) -> WaitTotal:
        """Return the total with more placements in it."""
        placed = list(self.placed)
        placed[len(WAIT_BOUNDS) if more.up_to is None else WAIT_BOUNDS.index(more.up_to)] += more.placed
        return WaitTotal(placed=tuple(placed), waited_seconds=self.waited_seconds + more.waited_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums that can be continued: what is added later comes out as if all had been summed at once."""

    entries: Mapping[EntryPlace, EntryTotal] = field(default_factory=dict)
    waits: Mapping[WaitPlace, WaitTotal] = field(default_factory=dict)
    hits: Mapping[HitPlace, int] = field(default_factory=dict)

    def plus(self, sums: Iterable[EntrySum], counts: Iterable[WaitCount], hits: Iterable[HitCount]) -> Totals:
        """Return the totals with more entries, placements and estimates in them."""
        entries, waits, sides = dict(self.entries), dict(self.waits), Counter(self.hits)
        for one in sums:
            paid = EntryPlace(one.institution, one.pool, one.kind)
            entries[paid] = entries.get(paid, EntryTotal()).plus(one)
        for other in counts:
            placed = WaitPlace(other.institution, other.pool, other.request_class)
            waits[placed] = waits.get(placed, WaitTotal()).plus(other)
        for hit in hits:
            for percent, side in zip(PERCENTS, (hit.half_side, hit.most_side), strict=True):
                sides[HitPlace(hit.pool, percent, side)] += hit.placed
        return Totals(entries=entries, waits=waits, hits=sides)
