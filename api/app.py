"""The HTTP application, made from the ports it is given."""

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.bodies import BodyGuard
from api.dependencies import CALLED, Desk
from api.problems import answer_with_problems, problems
from api.reference import publish_reference
from api.routes import (
    allocations,
    bookings,
    clusters,
    events,
    health,
    institutions,
    ledger,
    logs,
    nodes,
    people,
    pools,
    projects,
    rates,
    requests,
    shares,
    tokens,
)
from api.streams import STEADY, Rhythm, Streams
from operations.explaining import Explainer
from operations.ports import Inside
from operations.ports.office import Office
from operations.ports.outside import Pulse
from scheduler.policy import Policy

ROUTERS: Final = (
    requests.router,
    events.router,
    logs.router,
    clusters.router,
    institutions.router,
    projects.router,
    people.router,
    tokens.router,
    pools.router,
    nodes.router,
    bookings.router,
    shares.router,
    allocations.router,
    ledger.router,
    rates.router,
)
"""One router per noun. Only the health of the center is told to strangers."""

EVERYWHERE: Final = problems(401, 403, 413, 415, 422, 431, 500, 503)
"""The problems that any operation may answer with."""


def create_app(
    ports: Inside[Office],
    explainer: Explainer,
    policy: Policy,
    *,
    pulse: Callable[[], Pulse] = Pulse,
    rhythm: Rhythm = STEADY,
    keeps_apart: bool = True,
    own_nodes: bool = True,
) -> FastAPI:
    """Return the application. `explainer` explains on the same store; `pulse` tells when loops last ran.

    A center that does not keep tenants' processes apart (`keeps_apart`) admits one institution; one whose nodes are not
    its own (`own_nodes`) only shows them.

    Who stops the server first ends the streams that are open, by `app.state.desk.streams.close()`: they last otherwise.
    """
    app = FastAPI(
        title="Haidang",
        version="1",
        summary="A city's shared big-data and high-performance computing center.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_name,
    )
    streams = Streams(rhythm)
    ports.store.subscribe(streams.hear)
    app.state.desk = Desk(
        ports=ports,
        explainer=explainer,
        policy=policy,
        pulse=pulse,
        streams=streams,
        keeps_apart=keeps_apart,
        own_nodes=own_nodes,
    )
    app.include_router(health.router, responses=EVERYWHERE)
    for router in ROUTERS:
        app.include_router(router, responses=EVERYWHERE, dependencies=[CALLED])
    answer_with_problems(app)
    publish_reference(app)
    app.add_middleware(BodyGuard)
    return app


def _name(route: APIRoute) -> str:
    """Return the name of an operation in the API's description: that of its function."""
    return route.name
