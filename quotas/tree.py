"""The quota tree: what each share of a pool may hold at once, and the order that keeps it true."""

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

    @property
    def kept(self) -> Resources:
        """The part of the nominal quota that nobody else may use, even while it is idle."""
        return self.nominal - self.lending


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

    @property
    def unused_kept(self) -> Resources:
        """What nobody has taken of the part that only this share may use."""
        return (self.quota.kept - self.granted).most(NOTHING)
