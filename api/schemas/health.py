"""How the center is, in as few words as a stranger may know."""

from typing import Literal

from pydantic import Field

from api.schemas.shape import Open
from operations.ports.outside import Pulse
from registry.ids import Seconds


class HealthOut(Open):
    """The center answers. An age is how long ago a loop came to the end of a round.

    It is null before it did, where other processes run the loops, and of tending where there are no machines to follow.
    The center is `late` when a loop has not come round for a minute, or the database that several processes share does
    not answer: something is away.
    """

    status: Literal["ok", "late"]
    cycle_age_seconds: int | None = Field(ge=0)
    reconcile_age_seconds: int | None = Field(ge=0)
    tend_age_seconds: int | None = Field(ge=0)

    @classmethod
    def from_pulse(cls, pulse: Pulse, now: Seconds) -> "HealthOut":
        """Return the ages at a moment."""
        late = pulse.is_late(now) or not pulse.store_answers
        return cls(
            status="late" if late else "ok",
            cycle_age_seconds=_age(pulse.cycle, now),
            reconcile_age_seconds=_age(pulse.reconciled, now),
            tend_age_seconds=_age(pulse.tended, now),
        )


def _age(then: Seconds | None, now: Seconds) -> int | None:
    return None if then is None else max(0, now - then)
