"""What keeps the processes of a cluster from starting, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from haidang.amounts import write_moment
from haidang.answers import Event
from haidang.endings import who
from haidang.words import Words, harmless


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One process that does not start: its name, what is in the way by the center's code, and in others' words."""

    process: str
    code: str
    detail: str

    @classmethod
    def of(cls, event: Event) -> Trouble | None:
        """Read what an event tells of a process that does not start; None if it tells of something else."""
        if event.kind != "troubled":
            return None
        told = event.details
        return cls(process=told.get("process", ""), code=told.get("trouble", ""), detail=told.get("detail", ""))

    def sentence(self, words: Words) -> str:
        """Return which process does not start, and why."""
        return words("in_trouble", who=who(self.process, words), why=why_not(self.code, self.detail, words))


def why_not(code: str, detail: str, words: Words) -> str:
    """Return what is in the way of a start; the code itself if it is newer than this client."""
    name = f"trouble_{code}"
    said = words(name) if name in words else code
    return f"{said} ({harmless(detail)})" if detail else said


def failed_starts(events: Iterable[Event], words: Words) -> Iterator[str]:
    """Yield a line for each thing that starts failed by, with how many processes it stopped the last time."""
    last: dict[str, Event] = {}
    for event in events:
        if event.kind == "start_failed":
            last[event.details.get("trouble", "")] = event
    for code, event in last.items():
        count, why = event.details.get("processes", "1"), why_not(code, event.details.get("detail", ""), words)
        name = "start_failed_one" if count == "1" else "start_failed"
        yield words(name, count=count, when=write_moment(event.at, words), why=why)
