"""The ledger: its entries, the bill of a project, and what every account stands at."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import CallerDep, PortsDep, policy
from api.paging import Page, page_of, place_name
from api.problems import accepted
from api.schemas.ledger import BalancesOut, EntriesQuery, EntryOut, StatementOut, StatementQuery
from operations import books
from registry.ids import ProjectId

router = APIRouter(prefix="/v1/ledger", tags=["ledger"])


@router.get("", openapi_extra=policy("ledger:list"))
def list_entries(query: Annotated[EntriesQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[EntryOut]:
    """List the entries of the ledger, oldest first: awards, holds, charges and releases, each with its tags."""
    project, after = ProjectId(query.project) if query.project else None, query.place()
    rows = ports.store.read(books.list_entries, caller.scope, project=project, after=after, limit=query.limit + 1)
    return page_of(rows, query.limit, EntryOut.from_posted, place_name)


@router.get("/statement", openapi_extra=policy("ledger:bill"))
def read_statement(query: Annotated[StatementQuery, Query()], caller: CallerDep, ports: PortsDep) -> StatementOut:
    """Return the bill of a project for a period."""
    outcome = ports.store.read(books.bill, caller.scope, ProjectId(query.project), query.to_period())
    return StatementOut.from_statement(accepted(outcome))


@router.get("/balances", openapi_extra=policy("ledger:balances"))
def read_balances(ports: PortsDep) -> BalancesOut:
    """Return the balance of every account; they sum to zero."""
    return BalancesOut.from_balances(ports.store.read(books.list_balances))
