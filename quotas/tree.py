"""The quota tree: what each share of a pool may hold at once, and the order that keeps it true."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.ids import PoolId, ShareId
from registry.resources import NOTHING, Resources, total


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

    @property
    def kept(self) -> Resources:
        """The part of the nominal quota that nobody else may use, even while it is idle."""
        return self.nominal - self.lending


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What a parent has, and what its children were promised of it together.

    When nodes are lost the parent has less than it promised. Then every child keeps the same part of its own, so
    that what they keep for themselves never sums to more than there is, and nobody waits for what is not there.
    """

    nominal: Resources = NOTHING
    promised: Resources = NOTHING

    @classmethod
    def of(cls, parent: Share, children: Iterable[Share]) -> Promises:
        """Return what a share has and has promised."""
        return cls(nominal=parent.quota.nominal, promised=total(child.quota.nominal for child in children))

    def kept(self, quota: Quota) -> Resources:
        """Return what a child effectively keeps for itself, rounded down where the promises exceed what there is."""
        if self.promised.within(self.nominal):
            return quota.kept
        return Resources.of(
            (name, effective(amount, nominal=self.nominal.amount(name), promised=self.promised.amount(name)))
            for name, amount in quota.kept.items()
        )

    def unused_kept(self, share: Share) -> Resources:
        """Return what nobody has taken of the part that only a child itself may use."""
        return (self.kept(share.quota) - share.granted).most(NOTHING)


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
