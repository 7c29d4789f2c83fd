"""The quota tree: listed, read, and set share by share under the version that was read."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.addresses import PoolDep, ShareDep
from api.dependencies import CallerDep, PortsDep, policy
from api.paging import Page, page_of
from api.problems import accepted, problems
from api.schemas.shares import SHARE_PLACE, QuotaIn, ShareOut, SharesQuery, share_place
from api.versions import VersionDep, etag
from operations import shares
from registry.ids import PoolId

router = APIRouter(prefix="/v1/shares", tags=["shares"])


@router.get("", openapi_extra=policy("shares:list"))
def list_shares(query: Annotated[SharesQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[ShareOut]:
    """List shares of the quota tree with what is granted of each."""
    pool, after = PoolId(query.pool) if query.pool else None, query.after(SHARE_PLACE)
    rows = ports.store.read(shares.list_shares, caller.scope, pool=pool, after=after, limit=query.limit + 1)
    return page_of(rows, query.limit, ShareOut.from_version, share_place)


@router.get("/{share}/{pool}", responses=problems(404), openapi_extra=policy("shares:read"))
def read_share(share: ShareDep, pool: PoolDep, caller: CallerDep, ports: PortsDep, response: Response) -> ShareOut:
    """Return one share, with the version that a change of it has to name."""
    seen = accepted(ports.store.read(shares.see_share, caller.scope, share, pool))
    response.headers["ETag"] = etag(seen.version)
    return ShareOut.from_version(seen)


@router.put("/{share}/{pool}", responses=problems(404, 409, 412, 428), openapi_extra=policy("shares:set"))
def set_quota(
    *,
    share: ShareDep,
    pool: PoolDep,
    body: QuotaIn,
    version: VersionDep,
    caller: CallerDep,
    ports: PortsDep,
    response: Response,
) -> ShareOut:
    """Give an institution or a project its quota in a pool, if it still has the version that was read."""
    outcome = ports.store.transact(shares.set_quota, caller, share, pool, body.to_quota(), version=version)
    seen = accepted(outcome)
    response.headers["ETag"] = etag(seen.version)
    return ShareOut.from_version(seen)
