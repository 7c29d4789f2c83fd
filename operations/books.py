"""The ledger as people read it: its entries, the bill of a project, and what every account stands at."""

from operations.ports.office import Office, Place, Posted
from operations.reasons import Refused
from quotas.ledger import AccountId
from quotas.statements import Period, Statement, statement
from registry.ids import MicroCredits, ProjectId
from registry.people import Scope
from registry.reasons import NotThere, PeriodEndsBeforeItBegins


def list_entries(
    work: Office, scope: Scope, *, project: ProjectId | None, after: Place, limit: int
) -> tuple[Posted, ...]:
    """Return the ledger's entries after a place, in an order in which none can be overtaken any more.

    What has just been posted may be listed a little later than it is billed: once all that began before it has ended.
    """
    return work.books.entries(scope, project=project, after=after, limit=limit)


def bill(work: Office, scope: Scope, project: ProjectId, period: Period) -> Statement | Refused:
    """Return a project's statement of a period, summed from the entries themselves."""
    if work.projects.get(scope, project) is None:
        return Refused(reasons=(NotThere(field="project", id=project),))
    if period.since is not None and period.until is not None and period.until <= period.since:
        return Refused(reasons=(PeriodEndsBeforeItBegins(),))
    return statement(project, period, work.bills.lines(scope, project, period))


def list_balances(work: Office) -> tuple[tuple[AccountId, MicroCredits], ...]:
    """Return what every account stands at; the sum is zero."""
    return work.books.balances()
