"""People and their roles: added, listed and read, given more, taken some, and left; `me` is whoever calls."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.addresses import PersonDep, ReachDep
from api.dependencies import CallerDep, IdempotencyKey, PortsDep, policy
from api.paging import Page, PageQuery, page_of
from api.problems import accepted, problems
from api.schemas.people import GrantIn, PersonDetailOut, PersonIn, PersonOut
from api.schemas.replays import replay_of
from operations import people
from registry.ids import RANDOM_PATTERN
from registry.people import Role

router = APIRouter(prefix="/v1/people", tags=["people"])
_GRANT = "/{person}/grants/{role}/{reach}"


@router.post("", status_code=201, openapi_extra=policy("people:add"))
def add_person(
    body: PersonIn, caller: CallerDep, ports: PortsDep, key: IdempotencyKey = None
) -> PersonDetailOut:  # fmt: skip
    """Make a person with a first role."""
    person, replay = body.to_person(ports.ids.person()), replay_of(caller.person, key, body, "add ")
    grant, now = body.to_grant(person.id), ports.clock.now()
    outcome = ports.store.transact(people.add_person, caller, person, grant, replay, now=now)
    return PersonDetailOut.from_view(accepted(outcome))


@router.get("", openapi_extra=policy("people:list"))
def list_people(query: Annotated[PageQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[PersonOut]:
    """List the people of the institutions that the caller may see."""
    after, limit = query.after(RANDOM_PATTERN), query.limit + 1
    rows = ports.store.read(people.list_people, caller, after=after, limit=limit)
    return page_of(rows, query.limit, PersonOut.from_person, lambda row: row.id)


@router.get("/{person}", responses=problems(404), openapi_extra=policy("people:read"))
def read_person(person: PersonDep, caller: CallerDep, ports: PortsDep) -> PersonDetailOut:
    """Return one person with every role they have or had."""
    return PersonDetailOut.from_view(accepted(ports.store.read(people.see_person, caller, person)))


@router.put(_GRANT, responses=problems(404), openapi_extra=policy("people:grant"))
def put_grant(
    *, person: PersonDep, role: Role, reach: ReachDep, body: GrantIn, caller: CallerDep, ports: PortsDep
) -> PersonDetailOut:
    """Give a person a role in an institution or a project, or change until when."""
    grant, now = body.to_grant(person, role, reach), ports.clock.now()
    return PersonDetailOut.from_view(accepted(ports.store.transact(people.put_grant, caller, grant, now=now)))


@router.delete(_GRANT, responses=problems(404, 409), openapi_extra=policy("people:grant"))
def end_grant(
    person: PersonDep, role: Role, reach: ReachDep, caller: CallerDep, ports: PortsDep
) -> PersonDetailOut:  # fmt: skip
    """End a role of a person now."""
    outcome = ports.store.transact(people.end_grant, caller, person, role, reach, now=ports.clock.now())
    return PersonDetailOut.from_view(accepted(outcome))


@router.post("/{person}/leave", responses=problems(404, 409), openapi_extra=policy("people:dismiss"))
def dismiss_person(person: PersonDep, caller: CallerDep, ports: PortsDep) -> PersonDetailOut:
    """End everything a person may do, and revoke their tokens."""
    outcome = ports.store.transact(people.leave, caller, person, now=ports.clock.now())
    return PersonDetailOut.from_view(accepted(outcome))
