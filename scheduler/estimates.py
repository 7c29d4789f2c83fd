"""When a waiting request probably starts: what is said of it, from what signs, and how it came out."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import Final

from registry.ids import PoolId, Seconds

KEPT_OUTCOMES: Final = 2000
"""So many of a pool's latest outcomes are learnt from."""


class Side(IntEnum):
    """Where a start came to lie beside what had been said."""

    EARLIER = -1
    WITHIN = 0
    LATER = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The first and the last second of an interval."""

    earliest: Seconds
    latest: Seconds

    def side(self, at: Seconds) -> Side:
        """Tell where a moment lies beside the interval."""
        if at < self.earliest:
            return Side.EARLIER
        return Side.LATER if at > self.latest else Side.WITHIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What can be known of a wait when it begins, all but `part_ppm` in seconds.

    `by_walltimes` is all work of the pool that runs or waits from before, by its walltimes, over the whole pool, and
    `by_predictions` the same by predicted run times. `ahead` is the predicted work that waits and ranks before the
    request. `first_room` is after how long the running work is predicted to leave enough room, `planned` when the
    request would start if all were started in the order of submission and ran as predicted. `part_ppm` is the part of
    the pool that its gang takes, in millionths, and `walltime` its walltime.
    """

    by_walltimes: int
    by_predictions: int
    ahead: int
    first_room: int
    planned: int
    part_ppm: int
    walltime: int

    def row(self) -> tuple[int, ...]:
        """Return the numbers in their order."""
        return astuple(self)


SIGNS: Final = len(Signs.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The start of a request as it was foreseen at `issued`: within `half` in 50 of 100, within `most` in 90.

    `run_seconds` is how long it was predicted to run then: later ones foresee their starts from that, too.
    """

    issued: Seconds
    signs: Signs
    run_seconds: int
    half: Span
    most: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A request that was placed after an estimate, the `number`-th of its pool from 1 on: a fact to learn from."""

    pool: PoolId
    number: int
    estimate: Estimate
    placed: Seconds

    @property
    def slot(self) -> int:
        """Return which earlier outcome of the pool this one takes the place of."""
        return self.number % KEPT_OUTCOMES

    @property
    def waited(self) -> int:
        """Return how long after its estimate the request was placed, in seconds."""
        return self.placed - self.estimate.issued

    @property
    def half_side(self) -> Side:
        """Tell where the start lies beside the interval of 50 of 100."""
        return self.estimate.half.side(self.placed)

    @property
    def most_side(self) -> Side:
        """Tell where the start lies beside the interval of 90 of 100."""
        return self.estimate.most.side(self.placed)
