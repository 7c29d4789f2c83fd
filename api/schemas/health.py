"""How the center is, in as few words as a stranger may know."""

from typing import Final, Literal

from pydantic import Field

from api.schemas.shape import Open
from operations.ports.outside import Pulse
from registry.ids import Seconds

LATE_SECONDS: Final = 60


class HealthOut(Open):
    """The center answers. An age is how long ago a loop came to the end of a round; null before it did.

    It is `late` when a loop has not done so for a minute: something that it needs is away.
    """

    status: Literal["ok", "late"]
    cycle_age_seconds: int | None = Field(ge=0)
    reconcile_age_seconds: int | None = Field(ge=0)

    @classmethod
    def from_pulse(cls, pulse: Pulse, now: Seconds) -> "HealthOut":
        """Return the ages at a moment."""
        cycle, reconcile = _age(pulse.cycle, now), _age(pulse.reconciled, now)
        late = max(cycle or 0, reconcile or 0) >= LATE_SECONDS
        return cls(status="late" if late else "ok", cycle_age_seconds=cycle, reconcile_age_seconds=reconcile)


def _age(then: Seconds | None, now: Seconds) -> int | None:
    return None if then is None else max(0, now - then)
