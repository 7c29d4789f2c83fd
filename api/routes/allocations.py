"""Credits of projects: awarded, and listed with what is left of them."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import CallerDep, IdempotencyKey, PortsDep, policy
from api.paging import Page, page_of
from api.problems import accepted
from api.schemas.allocations import AllocationOut, AllocationsQuery, AwardIn
from api.schemas.replays import replay_of
from operations import awards
from registry.ids import RANDOM_PATTERN, ProjectId

router = APIRouter(prefix="/v1/allocations", tags=["allocations"])


@router.post("", status_code=201, openapi_extra=policy("allocations:award"))
def award_credits(
    body: AwardIn, caller: CallerDep, ports: PortsDep, key: IdempotencyKey = None
) -> AllocationOut:  # fmt: skip
    """Award credits to a project for a period, from a named funding source."""
    replay, now = replay_of(caller.person, key, body, "award "), ports.clock.now()
    award = body.to_award(ports.ids.allocation(), now)
    outcome = ports.store.transact(awards.award_credits, caller, award, replay, now=now)
    return AllocationOut.from_allocation(accepted(outcome))


@router.get("", openapi_extra=policy("allocations:list"))
def list_allocations(
    query: Annotated[AllocationsQuery, Query()], caller: CallerDep, ports: PortsDep
) -> Page[AllocationOut]:
    """List the allocations that the caller may see, with what is left and what running work holds of each."""
    project, after = ProjectId(query.project) if query.project else None, query.after(RANDOM_PATTERN)
    rows = ports.store.read(awards.list_allocations, caller.scope, project=project, after=after, limit=query.limit + 1)
    return page_of(rows, query.limit, AllocationOut.from_allocation, lambda row: row.id)
