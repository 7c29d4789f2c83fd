"""How the center is, in as few words as a stranger may know."""

from typing import Literal

from pydantic import Field

from api.schemas.shape import Open
from operations.ports.outside import Pulse
from registry.ids import Seconds


class HealthOut(Open):
    """The center answers. An age is how long ago a loop came to the end of a round; null before it did."""

    status: Literal["ok"] = "ok"
    cycle_age_seconds: int | None = Field(ge=0)
    reconcile_age_seconds: int | None = Field(ge=0)

    @classmethod
    def from_pulse(cls, pulse: Pulse, now: Seconds) -> "HealthOut":
        """Return the ages at a moment."""
        return cls(cycle_age_seconds=_age(pulse.cycle, now), reconcile_age_seconds=_age(pulse.reconciled, now))


def _age(then: Seconds | None, now: Seconds) -> int | None:
    return None if then is None else max(0, now - then)
