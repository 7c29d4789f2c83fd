"""The HTTP application, made from the ports it is given."""

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.bodies import BodyGuard
from api.dependencies import Desk
from api.problems import answer_with_problems, problems
from api.routes import health
from operations.follower import Follower
from operations.ports import Ports
from operations.ports.office import Office
from operations.ports.outside import Pulse
from scheduler.policy import Policy

ROUTERS: Final = (health.router,)
"""One router per noun."""

EVERYWHERE: Final = problems(401, 403, 413, 422, 503)
"""The problems that any operation may answer with."""


def create_app(
    ports: Ports[Office], follower: Follower, policy: Policy, *, pulse: Callable[[], Pulse] = Pulse
) -> FastAPI:
    """Return the application. `follower` follows the same store for explanations; `pulse` tells when loops last ran."""
    app = FastAPI(
        title="Haidang",
        version="1",
        summary="A city's shared big-data and high-performance computing center.",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_name,
    )
    app.state.desk = Desk(ports=ports, follower=follower, policy=policy, pulse=pulse)
    for router in ROUTERS:
        app.include_router(router, responses=EVERYWHERE)
    answer_with_problems(app)
    app.add_middleware(BodyGuard)
    return app


def _name(route: APIRoute) -> str:
    """Return the name of an operation in the API's description: that of its function."""
    return route.name
