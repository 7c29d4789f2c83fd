"""Whether the center answers and its loops go round, for whoever watches it: no token needed."""

from fastapi import APIRouter

from api.dependencies import DeskDep, policy
from api.schemas.health import HealthOut

router = APIRouter(prefix="/v1/health", tags=["health"])


@router.get("", openapi_extra=policy("health:read"))
async def read_health(desk: DeskDep) -> HealthOut:
    """Tell whether the center answers and its loops go round. Needs no token."""
    # Needs no thread either: those may all be waiting for a database that does not answer.
    return HealthOut.from_pulse(desk.pulse(), desk.ports.clock.now())
