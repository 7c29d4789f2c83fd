"""What happens to a request, told as events that its owner can follow."""

from dataclasses import dataclass
from enum import StrEnum

from registry.ids import RequestId, Seconds


class EventKind(StrEnum):
    """What happened."""

    SUBMITTED = "submitted"
    WAITING = "waiting"
    HELD = "held"
    UNHELD = "unheld"
    PLACED = "placed"
    SCALED = "scaled"
    GREW = "grew"
    SHRANK = "shrank"
    PROCESS_READY = "process_ready"
    RUNNING = "running"
    PROCESS_ENDED = "process_ended"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of one request. `details` are short strings by name: codes, numbers and process names, no free text."""

    request: RequestId
    at: Seconds
    kind: EventKind
    details: tuple[tuple[str, str], ...] = ()
