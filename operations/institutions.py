"""What is done with the members of the center: they are admitted, and seen."""

from operations.callers import Caller
from operations.ports.office import Office
from operations.reasons import NotKeptApart, Refused, Unknown
from registry.ids import InstitutionId
from registry.institutions import Institution
from registry.people import EVERYTHING, Scope
from registry.reasons import Taken


def admit_institution(
    work: Office, caller: Caller, institution: Institution, *, keeps_apart: bool
) -> Institution | Refused:
    """Make an institution a member of the center.

    It cannot be called like the center: both name shares of the quota tree and the reach of grants. A center that
    cannot keep its tenants apart admits one alone; its pools are locked, so that two firsts wait for each other.
    """
    taken = Refused(reasons=(Taken(what="institution", id=institution.id),))
    if institution.id == InstitutionId(caller.center) or work.institutions.get(EVERYTHING, institution.id):
        return taken
    if not keeps_apart:
        work.capacity.lock(pool.id for pool in work.facilities.pools())
        if work.institutions.page(EVERYTHING, after="", limit=1):
            return Refused(reasons=(NotKeptApart(),))
    return institution if work.institutions.add(institution) else taken


def see_institution(work: Office, scope: Scope, institution: InstitutionId) -> Institution | Refused:
    """Return one institution."""
    return work.institutions.get(scope, institution) or Refused(reasons=(Unknown(what="institution"),))


def list_institutions(work: Office, scope: Scope, *, after: str, limit: int) -> tuple[Institution, ...]:
    """Return institutions by id."""
    return work.institutions.page(scope, after=after, limit=limit)
