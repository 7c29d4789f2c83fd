"""The members of the center: admitted, listed and read."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.addresses import InstitutionDep
from api.dependencies import CallerDep, DeskDep, PortsDep, policy
from api.paging import Page, PageQuery, page_of
from api.problems import accepted, problems
from api.schemas.institutions import InstitutionIn, InstitutionOut
from operations import institutions
from registry.ids import SLUG_PATTERN

router = APIRouter(prefix="/v1/institutions", tags=["institutions"])


@router.post("", status_code=201, responses=problems(409), openapi_extra=policy("institutions:admit"))
def admit_institution(body: InstitutionIn, caller: CallerDep, desk: DeskDep) -> InstitutionOut:
    """Admit an institution as a member of the center."""
    institution, store = body.to_institution(desk.ports.clock.now()), desk.ports.store
    outcome = store.transact(institutions.admit_institution, caller, institution, keeps_apart=desk.keeps_apart)
    return InstitutionOut.from_institution(accepted(outcome))


@router.get("", openapi_extra=policy("institutions:list"))
def list_institutions(query: Annotated[PageQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[InstitutionOut]:
    """List the institutions that the caller may see."""
    after, limit = query.after(SLUG_PATTERN), query.limit + 1
    rows = ports.store.read(institutions.list_institutions, caller.scope, after=after, limit=limit)
    return page_of(rows, query.limit, InstitutionOut.from_institution, lambda row: row.id)


@router.get("/{institution}", responses=problems(404), openapi_extra=policy("institutions:read"))
def read_institution(institution: InstitutionDep, caller: CallerDep, ports: PortsDep) -> InstitutionOut:
    """Return one institution."""
    outcome = ports.store.read(institutions.see_institution, caller.scope, institution)
    return InstitutionOut.from_institution(accepted(outcome))
