"""Pools as they are described and shown."""

from pydantic import Field

from api.schemas.shape import Choice, Closed, Name, Open
from registry.centers import Pool, Tier
from registry.ids import CenterId, PoolId


class PoolIn(Closed):
    """What a pool is."""

    tier: Choice[Tier]
    name: Name = Field(examples=["Computing nodes"])

    def to_pool(self, pool: PoolId, center: CenterId) -> Pool:
        """Return the pool of a center."""
        return Pool(id=pool, center=center, tier=self.tier, name=self.name)


class PoolOut(Open):
    """Nodes of one kind at one center."""

    id: str
    center: str
    tier: Tier
    name: str

    @classmethod
    def from_pool(cls, pool: Pool) -> "PoolOut":
        """Return a pool as it goes out."""
        return cls(id=pool.id, center=pool.center, tier=pool.tier, name=pool.name)
