"""The projects of institutions: opened, listed and read."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.addresses import ProjectDep
from api.dependencies import CallerDep, PortsDep, policy
from api.paging import Page, PageQuery, page_of
from api.problems import accepted, problems
from api.schemas.projects import ProjectIn, ProjectOut
from operations import projects
from registry.ids import PROJECT_PATTERN

router = APIRouter(prefix="/v1/projects", tags=["projects"])


@router.post("", status_code=201, responses=problems(409), openapi_extra=policy("projects:open"))
def open_project(body: ProjectIn, caller: CallerDep, ports: PortsDep) -> ProjectOut:
    """Open a project of an institution: what is charged, and tagged for the reports."""
    outcome = ports.store.transact(projects.open_project, caller, body.to_project(ports.clock.now()))
    return ProjectOut.from_project(accepted(outcome))


@router.get("", openapi_extra=policy("projects:list"))
def list_projects(query: Annotated[PageQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[ProjectOut]:
    """List the projects that the caller may see."""
    after, limit = query.after(PROJECT_PATTERN), query.limit + 1
    rows = ports.store.read(projects.list_projects, caller.scope, after=after, limit=limit)
    return page_of(rows, query.limit, ProjectOut.from_project, lambda row: row.id)


@router.get("/{project}", responses=problems(404), openapi_extra=policy("projects:read"))
def read_project(project: ProjectDep, caller: CallerDep, ports: PortsDep) -> ProjectOut:
    """Return one project."""
    return ProjectOut.from_project(accepted(ports.store.read(projects.see_project, caller.scope, project)))
