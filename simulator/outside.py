"""Time that the simulation sets, ids that count, and credentials that nobody checks."""

from typing import Final

from operations.ports.backend import Credentials
from registry.ids import AllocationId, BookingId, PersonId, RequestId, Seconds, TokenId

_DIGITS: Final = "234567abcdefghijklmnopqrstuvwxyz"
"""Those of base32 as ids are written, in the order in which texts are compared."""
_LENGTH: Final = 26
_NOTHING: Final = Credentials(authority="", leaves={}, token="")


def numbered(number: int) -> str:
    """Return an id of the right shape; a larger number is a later id."""
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text.rjust(_LENGTH, _DIGITS[0])


class VirtualClock:
    """`Clock` that stands still until it is set."""

    def __init__(self, now: Seconds) -> None:
        """Begin at a moment."""
        self.time = now

    def now(self) -> Seconds:
        return self.time


class NumberedIds:
    """`Ids` that are the same in each run, of one kind the later the larger."""

    def __init__(self) -> None:
        """Begin with the first."""
        self._last = 0

    def request(self) -> RequestId:
        return RequestId(self._next())

    def person(self) -> PersonId:
        return PersonId(self._next())

    def allocation(self) -> AllocationId:
        return AllocationId(self._next())

    def booking(self) -> BookingId:
        return BookingId(self._next())

    def token(self) -> TokenId:
        return TokenId(self._next())

    def secret(self) -> str:
        return self._next()

    def _next(self) -> str:
        self._last += 1
        return numbered(self._last)


class NoAuthority:
    """`Authority` whose credentials are empty: simulated processes trust everybody."""

    def issue(self, request: RequestId, *, now: Seconds, until: Seconds) -> Credentials:  # noqa: ARG002 - all are alike
        return _NOTHING
