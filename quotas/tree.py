"""The quota tree: what each share of a pool may hold at once, and the order that keeps it true."""

from __future__ import annotations

from dataclasses import dataclass

from registry.ids import PoolId, ShareId
from registry.resources import NOTHING, Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a share is promised, may take beyond that from its siblings, and lends to them while it is idle."""

    nominal: Resources
    borrowing: Resources = NOTHING
    lending: Resources = NOTHING

    @property
    def limit(self) -> Resources:
        """The most that new work may bring the share to."""
        return self.nominal + self.borrowing

    def __add__(self, other: Quota) -> Quota:
        """Return what two shares were promised together."""
        return Quota(
            nominal=self.nominal + other.nominal,
            borrowing=self.borrowing + other.borrowing,
            lending=self.lending + other.lending,
        )

    def __sub__(self, other: Quota) -> Quota:
        """Return what the others were promised, of a sum that `other` is part of."""
        return Quota(
            nominal=self.nominal - other.nominal,
            borrowing=self.borrowing - other.borrowing,
            lending=self.lending - other.lending,
        )

    @property
    def kept(self) -> Resources:
        """The part of the nominal quota that nobody else may use, even while it is idle."""
        return self.nominal - self.lending


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What a parent effectively has, and what its children were promised of it together.

    When nodes are lost the parent has less than it promised. Then every child keeps the same part of its own, so
    that what they keep for themselves never sums to more than there is, and nobody waits for what is not there. What
    is left of a child's own is all that it has for its own children, down to the projects.
    """

    nominal: Resources = NOTHING
    promised: Resources = NOTHING

    def scaled(self, amount: Resources) -> Resources:
        """Return what is left of an amount that was promised, rounded down where the promises exceed what there is."""
        if self.promised.within(self.nominal):
            return amount
        return Resources.of(
            (name, effective(one, nominal=self.nominal.amount(name), promised=self.promised.amount(name)))
            for name, one in amount.items()
        )


def effective(amount: int, *, nominal: int, promised: int) -> int:
    """Return a promised amount, lessened as far as more is promised of its resource than there is."""
    return amount * nominal // promised if promised > nominal else amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One vertex of the tree in one pool, and what its processes hold right now.

    `limit` binds new work at once; a lowered one may lie below `granted` until work leaves, hence the ceiling.
    """

    id: ShareId
    pool: PoolId
    parent: ShareId | None
    quota: Quota
    granted: Resources = NOTHING

    @property
    def limit(self) -> Resources:
        """The most that new work may bring the share to."""
        return self.quota.limit

    @property
    def ceiling(self) -> Resources:
        """The most that the share can hold at all: the limit, or what was granted before the limit was lowered."""
        return self.limit.most(self.granted)

    @property
    def borrowed(self) -> Resources:
        """What the share holds beyond its nominal quota."""
        return (self.granted - self.quota.nominal).most(NOTHING)
