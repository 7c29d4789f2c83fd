"""What every request and every ledger entry is tagged with, so that a report never has to be reconstructed."""

from dataclasses import dataclass
from typing import Final, NewType

from registry.centers import Tier
from registry.ids import CenterId, InstitutionId, PoolId, ProjectId

Sector = NewType("Sector", str)
Topic = NewType("Topic", str)
FundingSource = NewType("FundingSource", str)

UNREPORTED: Final = "unreported"
"""The value of a tag that nobody has set: said as such in every report, never guessed and never zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """Where something was used, by whom, on whose money and what for; an award has no pool or tier yet."""

    center: CenterId
    institution: InstitutionId
    project: ProjectId
    pool: PoolId | None = None
    tier: Tier | None = None
    funding: FundingSource = FundingSource(UNREPORTED)
    sector: Sector = Sector(UNREPORTED)
    topic: Topic = Topic(UNREPORTED)
