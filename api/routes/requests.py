"""Requests: submitted or only tried, listed, read, held and released, extended, cancelled, and explained."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import (
    CallerDep,
    ExplainerDep,
    FollowerDep,
    IdempotencyKey,
    LanguageDep,
    PortsDep,
    RequestIdDep,
    RulesDep,
    policy,
)
from api.paging import REQUEST_PLACE, Page, page_of, request_place
from api.problems import accepted, problems
from api.schemas.estimates import EstimateOut
from api.schemas.explanations import AdviceOut, AdvicesOut, ExplanationOut
from api.schemas.replays import replay_of
from api.schemas.requests import ExtendIn, HoldIn, RequestDetailOut, RequestIn, RequestOut, RequestsQuery
from operations.permitted import (
    acceptable_for,
    cancel_for,
    extend_for,
    hold_for,
    release_for,
    request_seen,
    requests_seen,
    submit_for,
)

router = APIRouter(prefix="/v1/requests", tags=["requests"])


@router.post("", status_code=202, openapi_extra=policy("requests:submit"))
def submit_request(
    body: RequestIn, caller: CallerDep, ports: PortsDep, rules: RulesDep, key: IdempotencyKey = None
) -> RequestOut:
    """Ask for a cluster. The answer comes at once; the cluster when its turn comes. What could never run is refused."""
    asked = body.asked(caller.person, ports.ids.request(), rules)
    now = ports.clock.now()
    outcome = ports.store.transact(submit_for, caller, asked, body.replay(caller.person, key), rules, now=now)
    return RequestOut.from_view(accepted(outcome))


@router.post("/estimate", responses=problems(429), openapi_extra=policy("requests:submit"))
def estimate_request(
    body: RequestIn,
    caller: CallerDep,
    ports: PortsDep,
    rules: RulesDep,
    explainer: ExplainerDep,
    *,
    language: LanguageDep,
) -> EstimateOut:
    """Say when a request would start, what it would cost and what would stop it, if it were submitted now."""
    asked = body.asked(caller.person, ports.ids.request(), rules)
    draft = accepted(ports.store.read(acceptable_for, caller, asked, rules, now=ports.clock.now()))
    return EstimateOut.from_prospect(accepted(explainer.foresee(draft)), language)


@router.get("", openapi_extra=policy("requests:list"))
def list_requests(query: Annotated[RequestsQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[RequestOut]:
    """List requests, newest first."""
    wanted, after = query.to_filter(caller.person), query.after(REQUEST_PLACE)
    views = ports.store.read(requests_seen, caller, wanted, after=after, limit=query.limit + 1)
    return page_of(views, query.limit, RequestOut.from_view, request_place)


@router.get("/{request}", responses=problems(404), openapi_extra=policy("requests:read"))
def read_request(request: RequestIdDep, caller: CallerDep, ports: PortsDep) -> RequestDetailOut:
    """Return one request with its processes."""
    return RequestDetailOut.from_view(accepted(ports.store.read(request_seen, caller, request)))


@router.post("/{request}/cancel", responses=problems(404), openapi_extra=policy("requests:cancel"))
def cancel_request(request: RequestIdDep, caller: CallerDep, ports: PortsDep) -> RequestOut:
    """End a request: at once if it waits, with its cluster if it runs. To cancel again changes nothing."""
    outcome = ports.store.transact(cancel_for, caller, request, now=ports.clock.now())
    return RequestOut.from_view(accepted(outcome))


@router.post("/{request}/extend", responses=problems(404, 409), openapi_extra=policy("requests:extend"))
def extend_request(
    request: RequestIdDep,
    body: ExtendIn,
    caller: CallerDep,
    ports: PortsDep,
    follower: FollowerDep,
    *,
    key: IdempotencyKey = None,
) -> RequestOut:
    """Let a running cluster go on for so much longer, or say for how much longer it could: each call adds to it."""
    replay, seen, now = replay_of(caller.person, key, body, f"extend {request} "), follower.look(), ports.clock.now()
    outcome = ports.store.transact(extend_for, caller, request, body.walltime_seconds, seen, replay=replay, now=now)
    return RequestOut.from_view(accepted(outcome))


@router.post("/{request}/hold", responses=problems(404, 409), openapi_extra=policy("requests:hold"))
def hold_request(request: RequestIdDep, caller: CallerDep, ports: PortsDep, body: HoldIn | None = None) -> RequestOut:
    """Keep a waiting request from starting until it is released by whoever held it."""
    holder = body.holder if body else None
    outcome = ports.store.transact(hold_for, caller, request, holder, now=ports.clock.now())
    return RequestOut.from_view(accepted(outcome))


@router.post("/{request}/release", responses=problems(404, 409), openapi_extra=policy("requests:release"))
def release_request(
    request: RequestIdDep, caller: CallerDep, ports: PortsDep, body: HoldIn | None = None
) -> RequestOut:
    """Let a held request take its turn again."""
    holder = body.holder if body else None
    outcome = ports.store.transact(release_for, caller, request, holder, now=ports.clock.now())
    return RequestOut.from_view(accepted(outcome))


@router.get("/{request}/explain", responses=problems(404), openapi_extra=policy("requests:explain"))
def explain_request(
    request: RequestIdDep, caller: CallerDep, ports: PortsDep, explainer: ExplainerDep, language: LanguageDep
) -> ExplanationOut:
    """Say why a request waits: its place, every factor of its rank and every reason with its numbers."""
    accepted(ports.store.read(request_seen, caller, request))  # nobody is told about what they may not see
    explanation = explainer.explain(request)
    if explanation is None:
        return ExplanationOut(state=accepted(ports.store.read(request_seen, caller, request)).request.state)
    return ExplanationOut.from_explanation(explanation, language)


@router.get("/{request}/advice", responses=problems(404), openapi_extra=policy("requests:explain"))
def advise_request(
    request: RequestIdDep, caller: CallerDep, ports: PortsDep, explainer: ExplainerDep, language: LanguageDep
) -> AdvicesOut:
    """Say what would start a request that waits right now: the smallest change of each kind, each proved by trying."""
    accepted(ports.store.read(request_seen, caller, request))
    return AdvicesOut(items=[AdviceOut.from_advice(one, language) for one in explainer.advise(request)])
