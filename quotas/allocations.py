"""Credits awarded to a project for a period, from a named funding source."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from registry.ids import AllocationId, MicroCredits, ProjectId, Seconds
from registry.tags import FundingSource

MOST_MICRO_CREDITS: Final = 10**15
"""More than any award, and so little that thousands of them still fit in 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """An allocation that is about to be made."""

    id: AllocationId
    project: ProjectId
    funding: FundingSource
    credits: MicroCredits
    begins: Seconds
    ends: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """An allocation with what its account says: what may still be held, and what running work holds of it.

    Credit that is held survives the end of the period; new holds need the period to be open.
    """

    id: AllocationId
    project: ProjectId
    funding: FundingSource
    begins: Seconds
    ends: Seconds
    available: MicroCredits
    held: MicroCredits

    def open_at(self, now: Seconds) -> bool:
        """Tell whether new holds may be taken from it."""
        return self.begins <= now < self.ends


def covering(allocations: Iterable[Allocation], needed: MicroCredits, now: Seconds) -> Allocation | None:
    """Return the open allocation that ends first among those that cover `needed`: credit that lapses is used first."""
    able = [one for one in allocations if one.open_at(now) and one.available >= needed]
    return min(able, key=lambda one: (one.ends, one.id), default=None)


def most_available(allocations: Iterable[Allocation], now: Seconds) -> MicroCredits:
    """Return the largest sum that one open allocation could hold now; zero without any."""
    return max((one.available for one in allocations if one.open_at(now)), default=MicroCredits(0))
