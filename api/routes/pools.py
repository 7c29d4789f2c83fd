"""The pools of the center: described, listed and read."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.addresses import NewPoolDep, PoolDep
from api.dependencies import CallerDep, PortsDep, policy
from api.paging import Page, PageQuery, page_of
from api.problems import accepted, problems
from api.schemas.pools import PoolIn, PoolOut
from operations import facilities
from registry.ids import SLUG_PATTERN

router = APIRouter(prefix="/v1/pools", tags=["pools"])


@router.put("/{pool}", openapi_extra=policy("pools:put"))
def put_pool(pool: NewPoolDep, body: PoolIn, caller: CallerDep, ports: PortsDep) -> PoolOut:
    """Make a pool, or describe it anew."""
    return PoolOut.from_pool(ports.store.transact(facilities.put_pool, body.to_pool(pool, caller.center)))


@router.get("", openapi_extra=policy("pools:list"))
def list_pools(query: Annotated[PageQuery, Query()], ports: PortsDep) -> Page[PoolOut]:
    """List the pools of the center."""
    rows = ports.store.read(facilities.list_pools, after=query.after(SLUG_PATTERN), limit=query.limit + 1)
    return page_of(rows, query.limit, PoolOut.from_pool, lambda row: row.id)


@router.get("/{pool}", responses=problems(404), openapi_extra=policy("pools:read"))
def read_pool(pool: PoolDep, ports: PortsDep) -> PoolOut:
    """Return one pool."""
    return PoolOut.from_pool(accepted(ports.store.read(facilities.see_pool, pool)))
