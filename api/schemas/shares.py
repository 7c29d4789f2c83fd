"""Quotas as they are set, and the shares of the tree as they are shown."""

from typing import Annotated, Final

from pydantic import Field

from api.paging import PageQuery
from api.schemas.amounts import AmountsIn, AmountsOut
from api.schemas.shape import REACH_PATTERN, Closed, Open, Slug
from operations.ports.office import ShareVersion
from quotas.tree import Quota
from registry.ids import SLUG_PATTERN

SHARE_PLACE: Final = rf"(?:{SLUG_PATTERN})/(?:{REACH_PATTERN})".replace("^", "").replace("$", "")
"""Where a list of shares goes on."""


class QuotaIn(Closed):
    """What a share is promised, may take beyond that from its siblings, and lends to them while it is idle."""

    nominal: AmountsIn
    borrowing: AmountsIn = Field(default_factory=AmountsIn)
    lending: AmountsIn = Field(default_factory=AmountsIn)

    def to_quota(self) -> Quota:
        """Return the quota."""
        return Quota(
            nominal=self.nominal.to_resources(),
            borrowing=self.borrowing.to_resources(),
            lending=self.lending.to_resources(),
        )


class QuotaOut(Open):
    """A quota as it was set."""

    nominal: AmountsOut
    borrowing: AmountsOut
    lending: AmountsOut


class ShareOut(Open):
    """One vertex of the quota tree in one pool; `borrowed` is what of `granted` lies beyond the nominal quota.

    Sent back in `If-Match`, the `ETag` of a share says which version of it is changed.
    """

    id: str
    pool: str
    parent: str | None
    quota: QuotaOut
    limit: AmountsOut
    granted: AmountsOut
    borrowed: AmountsOut
    version: int

    @classmethod
    def from_version(cls, seen: ShareVersion) -> "ShareOut":
        """Return a share as it goes out."""
        share, amounts = seen.share, AmountsOut.from_resources
        quota = QuotaOut(
            nominal=amounts(share.quota.nominal),
            borrowing=amounts(share.quota.borrowing),
            lending=amounts(share.quota.lending),
        )
        return cls(
            id=share.id,
            pool=share.pool,
            parent=share.parent,
            quota=quota,
            limit=amounts(share.limit),
            granted=amounts(share.granted),
            borrowed=amounts(share.borrowed),
            version=seen.version,
        )


class SharesQuery(PageQuery):
    """Which shares are listed."""

    pool: Annotated[Slug | None, Field(default=None)]


def share_place(seen: ShareVersion) -> str:
    """Return the place of a share in a list."""
    return f"{seen.share.pool}/{seen.share.id}"
