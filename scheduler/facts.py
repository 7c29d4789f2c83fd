"""The current values that a cycle decides from, as the store hands them over."""

from dataclasses import dataclass

from quotas.allocations import Allocation
from quotas.rates import RateCard
from quotas.tree import Share
from registry.centers import Node
from registry.ids import PoolId, ShareId
from scheduler.bookings import Booking
from scheduler.clusters import Process
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


Fact = Node | Share | Request | Process | Allocation | DayOfUse | RateCard | Booking
