"""Why requests wait, for everybody who asks: however many ask, deciding for them takes a small part of the time."""

from collections.abc import Callable
from threading import Lock
from typing import Final

from operations.follower import Follower
from operations.ports.outside import Clock
from registry.ids import RequestId
from scheduler.explain import Explanation, Explanations

_REST_FACTOR: Final = 10


class Explainer:
    """Explains on the snapshot of its follower; `nanoseconds` is a clock that nobody sets.

    To explain is to decide for everybody, which costs what a cycle does. What was found is told again to whoever asks
    within ten times what it took, unless the request that is asked for has changed: on a small center that is no time
    at all, on one with a long queue it keeps people who ask from slowing down the loops.
    """

    def __init__(self, follower: Follower, clock: Clock, *, nanoseconds: Callable[[], int]) -> None:
        self._follower: Final = follower
        self._clock: Final = clock
        self._nanoseconds: Final = nanoseconds
        self._lock: Final = Lock()
        self._fresh_until = 0
        self._found: Explanations | None = None

    @property
    def follower(self) -> Follower:
        """Return who keeps the snapshot current, for others that decide something on it."""
        return self._follower

    def explain(self, request: RequestId) -> Explanation | None:
        """Explain a request; None if it is not pending."""
        with self._lock:
            snapshot = self._follower.look().snapshot
            asked, began = snapshot.requests.get(request), self._nanoseconds()
            if self._found is None or began >= self._fresh_until or not self._found.knows(asked):
                self._found = Explanations(snapshot, self._clock.now())
                ended = self._nanoseconds()
                self._fresh_until = ended + _REST_FACTOR * (ended - began)
            return self._found.of(request)
