"""The ports to time and chance, which no decision reads by itself."""

from dataclasses import dataclass
from typing import Final, Protocol

from registry.ids import AllocationId, BookingId, PersonId, RequestId, Seconds, TokenId


class Clock(Protocol):
    """What time it is."""

    def now(self) -> Seconds:
        """Return the current second."""
        ...


class Names(Protocol):
    """New identifiers, 128 random bits each."""

    def request(self) -> RequestId:
        """Return a new request id."""
        ...

    def person(self) -> PersonId:
        """Return a new person id."""
        ...

    def allocation(self) -> AllocationId:
        """Return a new allocation id."""
        ...

    def booking(self) -> BookingId:
        """Return a new booking id."""
        ...

    def token(self) -> TokenId:
        """Return a new token id."""
        ...


class Ids(Names, Protocol):
    """New identifiers, and the secrets of tokens."""

    def secret(self) -> str:
        """Return a new secret of 256 random bits, as people copy it."""
        ...


LATE_SECONDS: Final = 60
"""How long after its last good round a loop is late: something that it needs is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """When each loop last came to the end of a round; None before its first, and in a process that does not act.

    `began` is when this process began to act, if it does. `tended` is of the loop that follows machines and keeps
    tenants' places: before its first round it is the beginning, and None where there is no such loop. `store_answers`
    is what a process knows of the store that others write, too; one that writes it alone knows nothing else.
    """

    began: Seconds | None = None
    cycle: Seconds | None = None
    reconciled: Seconds | None = None
    tended: Seconds | None = None
    store_answers: bool = True

    def is_late(self, now: Seconds) -> bool:
        """Tell whether a loop is late; one that has come to the end of no round is, counted from its beginning."""
        if self.began is None:
            return False
        rounds = (self.cycle or self.began, self.reconciled or self.began, self.tended or now)
        return now - min(rounds) >= LATE_SECONDS
