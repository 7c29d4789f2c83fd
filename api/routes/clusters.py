"""Running clusters: listed, read, scaled, and reached by their owners."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.dependencies import CallerDep, PortsDep, RequestIdDep, RulesDep, policy
from api.paging import REQUEST_PLACE, Page, PageQuery, page_of, request_place
from api.problems import accepted, problems
from api.schemas.clusters import ClusterOut, ConnectionOut, ScaleIn
from operations.permitted import access_for, cluster_seen, requests_seen, scale_for
from operations.ports.office import RequestFilter
from scheduler.requests import State

router = APIRouter(prefix="/v1/clusters", tags=["clusters"])


@router.get("", openapi_extra=policy("clusters:list"))
def list_clusters(query: Annotated[PageQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[ClusterOut]:
    """List the clusters that run, start or end, with the processes of each."""
    placed, after = RequestFilter(state=State.PLACED), query.after(REQUEST_PLACE)
    views = ports.store.read(requests_seen, caller, placed, after=after, limit=query.limit + 1)
    return page_of(views, query.limit, ClusterOut.from_view, request_place)


@router.get("/{request}", responses=problems(404, 409), openapi_extra=policy("clusters:read"))
def read_cluster(request: RequestIdDep, caller: CallerDep, ports: PortsDep) -> ClusterOut:
    """Return one cluster with its processes."""
    return ClusterOut.from_view(accepted(ports.store.read(cluster_seen, caller, request)))


@router.post("/{request}/scale", responses=problems(404, 409), openapi_extra=policy("clusters:scale"))
def scale_cluster(
    request: RequestIdDep, body: ScaleIn, caller: CallerDep, ports: PortsDep, rules: RulesDep
) -> ClusterOut:
    """Say how many workers a running cluster should have: more come as far as there is room, fewer hand over first."""
    outcome = ports.store.transact(scale_for, caller, request, body.workers, rules, now=ports.clock.now())
    return ClusterOut.from_view(accepted(outcome))


@router.get("/{request}/connection", responses=problems(404, 409), openapi_extra=policy("clusters:connect"))
def connect_to_cluster(request: RequestIdDep, caller: CallerDep, ports: PortsDep, response: Response) -> ConnectionOut:
    """Return how its owner reaches a running cluster: the address and a certificate that nobody else gets."""
    response.headers["Cache-Control"] = "no-store"  # it holds a private key
    return ConnectionOut.from_access(accepted(ports.store.read(access_for, caller, request)))
