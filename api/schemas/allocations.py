"""Awards of credits as they are made, and allocations as they are shown."""

from typing import Annotated

from pydantic import Field

from api.paging import PageQuery
from api.schemas.shape import Choice, Closed, Moment, Open, ProjectName
from quotas.allocations import MOST_MICRO_CREDITS, Allocation, Award
from registry.ids import AllocationId, MicroCredits, ProjectId, Seconds
from registry.tags import FundingSource
from registry.vocabularies import PlanFunding


class AwardIn(Closed):
    """Credits that a project is given for a period."""

    project: ProjectName = Field(examples=["vmu.vision"])
    micro_credits: int = Field(ge=1, le=MOST_MICRO_CREDITS, description="Millionths of a credit.")
    funding: Choice[PlanFunding] = PlanFunding.UNREPORTED
    begins: Moment | None = Field(default=None, description="From when it can be used; now if left out.")
    ends: Moment = Field(description="Until when work may start on it. What runs then goes on.")

    def to_award(self, allocation: AllocationId, now: Seconds) -> Award:
        """Return the award."""
        return Award(
            id=allocation,
            project=ProjectId(self.project),
            funding=FundingSource(self.funding.value),
            credits=MicroCredits(self.micro_credits),
            begins=now if self.begins is None else Seconds(self.begins),
            ends=Seconds(self.ends),
        )


class AllocationOut(Open):
    """Credits of a project: what may still be held, and what running work holds."""

    id: str
    project: str
    funding: str
    begins: int
    ends: int
    available_micro_credits: int
    held_micro_credits: int

    @classmethod
    def from_allocation(cls, allocation: Allocation) -> "AllocationOut":
        """Return an allocation as it goes out."""
        return cls(
            id=allocation.id,
            project=allocation.project,
            funding=allocation.funding,
            begins=allocation.begins,
            ends=allocation.ends,
            available_micro_credits=allocation.available,
            held_micro_credits=allocation.held,
        )


class AllocationsQuery(PageQuery):
    """Which allocations are listed."""

    project: Annotated[ProjectName | None, Field(default=None)]
