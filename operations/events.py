"""What happens to a request, told as events that its owner can follow."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registry.ids import RequestId, Seconds


class EventKind(StrEnum):
    """What happened."""

    SUBMITTED = "submitted"
    WAITING = "waiting"
    HELD = "held"
    UNHELD = "unheld"
    PROMISED = "promised"
    PLACED = "placed"
    SCALED = "scaled"
    EXTENDED = "extended"
    GREW = "grew"
    SHRANK = "shrank"
    PROCESS_READY = "process_ready"
    RUNNING = "running"
    TROUBLED = "troubled"
    START_FAILED = "start_failed"
    TURNED_BACK = "turned_back"
    PREEMPTED = "preempted"
    REQUEUED = "requeued"
    PROCESS_ENDED = "process_ended"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of one request.

    `details` are short strings by name: codes, numbers, names of processes, and what the outside world said of them.
    """

    request: RequestId
    at: Seconds
    kind: EventKind
    details: tuple[tuple[str, str], ...] = ()


WANTS_MORE: Final = "workers_wanted"
"""The detail of a placement of what wants more workers than its gang, which only the next cycle can give it."""

_DECIDED_ALREADY: Final = frozenset(
    {
        EventKind.WAITING,
        EventKind.PROMISED,
        EventKind.PLACED,
        EventKind.GREW,
        EventKind.PREEMPTED,
        EventKind.PROCESS_READY,
        EventKind.RUNNING,
        EventKind.TROUBLED,
        EventKind.START_FAILED,
    }
)
"""What a cycle itself has answered, and what neither asks for capacity nor frees any."""

_TO_BE_DONE: Final = frozenset(
    {
        EventKind.PLACED,
        EventKind.GREW,
        EventKind.SCALED,
        EventKind.SHRANK,
        EventKind.START_FAILED,
        EventKind.PROCESS_ENDED,
        EventKind.ENDING,
    }
)
"""What leaves processes to start, to drain or to end."""


def may_change_decisions(told: Iterable[Event]) -> bool:
    """Tell whether a cycle may answer otherwise after a commit that told these events.

    One that told none has changed nodes, quotas, credits or people, and may have changed anything.
    """
    events = tuple(told)
    wants_more = any(name == WANTS_MORE for event in events for name, _ in event.details)
    return not events or wants_more or not {event.kind for event in events} <= _DECIDED_ALREADY


def leaves_work(told: Iterable[Event]) -> bool:
    """Tell whether a commit that told these events leaves the reconciler something to do."""
    return any(event.kind in _TO_BE_DONE for event in told)
