"""What is done with projects: an institution opens them, and they are seen."""

from operations.callers import Caller
from operations.policies import Subject, forbidden
from operations.ports.office import Office
from operations.reasons import Refused, Unknown
from registry.ids import ProjectId
from registry.institutions import Project
from registry.people import Scope
from registry.reasons import HasEnded, NotThere, Taken


def open_project(work: Office, caller: Caller, project: Project) -> Project | Refused:
    """Open a project of an institution."""
    institution = work.institutions.get(caller.scope, project.institution)
    if institution is None:
        return Refused(reasons=(NotThere(field="institution", id=project.institution),))
    if no := forbidden(caller, "projects:open", Subject(institution=institution.id)):
        return Refused(reasons=(no,))
    if institution.ended is not None:
        return Refused(reasons=(HasEnded(field="institution", id=institution.id),))
    if not work.projects.add(project):
        return Refused(reasons=(Taken(what="project", id=project.id),))
    return project


def see_project(work: Office, scope: Scope, project: ProjectId) -> Project | Refused:
    """Return one project."""
    return work.projects.get(scope, project) or Refused(reasons=(Unknown(what="project"),))


def list_projects(work: Office, scope: Scope, *, after: str, limit: int) -> tuple[Project, ...]:
    """Return projects by id."""
    return work.projects.page(scope, after=after, limit=limit)
