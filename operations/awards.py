"""Credits that the center awards to projects, and what is left of them."""

from functools import partial

from operations.callers import Caller
from operations.ports.office import Office
from operations.reasons import Reason, Refused
from operations.replaying import ReplayKey, once
from quotas.allocations import Allocation, Award
from quotas.ledger import grant_entry
from registry.ids import AllocationId, ProjectId, Seconds
from registry.institutions import Project
from registry.people import Scope
from registry.reasons import HasEnded, NotThere, PeriodEndsBeforeItBegins, TooEarly
from registry.tags import Tags


def award_credits(
    work: Office, caller: Caller, award: Award, replay: ReplayKey | None, *, now: Seconds
) -> Allocation | Refused:
    """Open an allocation and post the credits to it, both or neither; a repeated key gets its first answer."""
    deed = partial(_award, work, caller, award, now=now)
    return once(work, replay, award.id, deed, lambda made: work.accounts.get(AllocationId(made)), now=now)


def list_allocations(
    work: Office, scope: Scope, *, project: ProjectId | None, after: str, limit: int
) -> tuple[Allocation, ...]:
    """Return allocations by id, with what may still be held and what is."""
    return work.books.allocations(scope, project=project, after=after, limit=limit)


def _award(work: Office, caller: Caller, award: Award, *, now: Seconds) -> Allocation | Refused:
    project = work.projects.get(caller.scope, award.project)
    if project is None:
        return Refused(reasons=(NotThere(field="project", id=award.project),))
    if reason := _fault(project, award, now):
        return Refused(reasons=(reason,))
    tags = Tags(
        center=caller.center,
        institution=project.institution,
        project=project.id,
        funding=award.funding,
        sector=project.sector,
        topic=project.topic,
    )
    work.accounts.open(award)
    work.accounts.post([grant_entry(award, tags, now)])
    return work.accounts.get(award.id)


def _fault(project: Project, award: Award, now: Seconds) -> Reason | None:
    if project.ended is not None:
        return HasEnded(field="project", id=project.id)
    if award.ends <= award.begins:
        return PeriodEndsBeforeItBegins()
    return TooEarly(field="ends", earliest=Seconds(now + 1)) if award.ends <= now else None
