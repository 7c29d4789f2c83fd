"""The ports to time and chance, which no decision reads by itself."""

from dataclasses import dataclass
from typing import Protocol

from registry.ids import AllocationId, PersonId, RequestId, Seconds, TokenId


class Clock(Protocol):
    """What time it is."""

    def now(self) -> Seconds:
        """Return the current second."""
        ...


class Ids(Protocol):
    """New identifiers, 128 random bits each, and the secrets of tokens."""

    def request(self) -> RequestId:
        """Return a new request id."""
        ...

    def person(self) -> PersonId:
        """Return a new person id."""
        ...

    def allocation(self) -> AllocationId:
        """Return a new allocation id."""
        ...

    def token(self) -> TokenId:
        """Return a new token id."""
        ...

    def secret(self) -> str:
        """Return a new secret of 256 random bits, as people copy it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """When each loop last came to the end of a round; None before its first, and in a process without it."""

    cycle: Seconds | None = None
    reconciled: Seconds | None = None
