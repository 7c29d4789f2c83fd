"""Credits awarded to a project for a period, from a named funding source."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from registry.ids import AllocationId, MicroCredits, ProjectId, Seconds
from registry.tags import FundingSource

MOST_MICRO_CREDITS: Final = 10**15
"""More than any award, and so little that thousands of them still fit in 64 bits."""
_NOTHING: Final[Mapping[AllocationId, int]] = MappingProxyType({})


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


def covering(
    allocations: Iterable[Allocation], needed: MicroCredits, now: Seconds, more: Mapping[AllocationId, int] = _NOTHING
) -> Allocation | None:
    """Return the open allocation that ends first among those that cover `needed`: credit that lapses is used first.

    `more` is what is held of allocations beside what they say.
    """
    able = [one for one in allocations if one.open_at(now) and one.available - more.get(one.id, 0) >= needed]
    return min(able, key=lambda one: (one.ends, one.id), default=None)


def most_available(
    allocations: Iterable[Allocation], now: Seconds, more: Mapping[AllocationId, int] = _NOTHING
) -> MicroCredits:
    """Return the largest sum that one open allocation could hold now, beside `more`; zero without any."""
    left = (one.available - more.get(one.id, 0) for one in allocations if one.open_at(now))
    return MicroCredits(max(left, default=0))
