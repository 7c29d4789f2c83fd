"""The current values that a cycle decides from, as the store hands them over."""

from dataclasses import dataclass

from quotas.allocations import Allocation
from quotas.rates import RateCard
from quotas.tree import Share
from registry.centers import Node
from registry.ids import PersonId, PoolId, ShareId
from scheduler.bookings import Booking
from scheduler.clusters import Process
from scheduler.estimates import Outcome
from scheduler.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOfUse:
    """What a share used of a pool on one day (since 1970, UTC), in millionths of the pool times seconds.

    Fair share decays these sums by their age: they can be added in any order and every factor can be recomputed.
    """

    share: ShareId
    pool: PoolId
    day: int
    ppm_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRatios:
    """How long a person's latest clusters ran, in thousandths of the walltime that each had asked for.

    `before` is that of the last but one, if there was one. A cluster that was extended may have run for longer than its
    whole; what ended before any of its processes began is none of them.
    """

    person: PersonId
    last: int
    before: int | None = None

    @property
    def mean(self) -> int:
        """Return the mean of both, or the only one."""
        return self.last if self.before is None else (self.last + self.before) // 2


Fact = Node | Share | Request | Process | Allocation | DayOfUse | RateCard | Booking | RunRatios | Outcome
