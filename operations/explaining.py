"""Why requests wait and how others would fare, for everybody who asks: one at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from operations.follower import Follower
from operations.ports.outside import Clock
from operations.reasons import AskedTooSoon, Refused
from registry.ids import PersonId, RequestId
from scheduler.advice import Advice
from scheduler.explain import Explanation, Explanations
from scheduler.prospects import Prospect, prospect
from scheduler.requests import Draft, Request

_REST_FACTOR: Final = 10
_ASKED_TOO_SOON: Final = Refused(reasons=(AskedTooSoon(),))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Advised:
    """What was advised about a request as it stood, and until when that is told again."""

    request: Request
    advice: tuple[Advice, ...]
    fresh_until: int


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
        self._advised: dict[RequestId, _Advised] = {}
        self._resting: dict[PersonId, int] = {}

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

    def advise(self, request: RequestId) -> tuple[Advice, ...]:
        """Return what would start a pending request now, each proved by deciding; nothing if no single change does.

        That costs what a few dozen cycles do: the same answer is given for ten times as long, to whoever asks about the
        same request while that is as it was.
        """
        with self._lock:
            snapshot, began = self._follower.look().snapshot, self._nanoseconds()
            asked, known = snapshot.requests.get(request), self._advised.get(request)
            if known is not None and known.request == asked and began < known.fresh_until:
                return known.advice
            advice = Explanations(snapshot, self._clock.now()).advice_for(request)
            ended = self._nanoseconds()
            self._advised = {name: one for name, one in self._advised.items() if ended < one.fresh_until}
            if asked is not None:
                until = ended + _REST_FACTOR * (ended - began)
                self._advised[request] = _Advised(request=asked, advice=advice, fresh_until=until)
            return advice

    def foresee(self, draft: Draft) -> Prospect | Refused:
        """Return what would become of a draft that was submitted now.

        That is decided anew for each that is asked about: the same person is answered again only after ten times what
        it took.
        """
        if self._rests(draft.person):
            return _ASKED_TOO_SOON
        with self._lock:
            # Again: others may have asked in the same name while this one waited for its turn.
            if self._rests(draft.person):
                return _ASKED_TOO_SOON
            began = self._nanoseconds()
            found = prospect(self._follower.look().snapshot, draft, self._clock.now())
            ended = self._nanoseconds()
            self._resting = {person: until for person, until in self._resting.items() if ended < until}
            self._resting[draft.person] = ended + _REST_FACTOR * (ended - began)
            return found

    def _rests(self, person: PersonId) -> bool:
        """Tell whether somebody has just had an answer that took a while."""
        return self._nanoseconds() < self._resting.get(person, 0)
