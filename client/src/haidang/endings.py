"""How clusters and their processes ended, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from haidang.amounts import as_written, write_bytes, write_moment
from haidang.answers import Event
from haidang.words import Words, harmless

MEMORY: Final = "memory"
_PROCESS_ENDED: Final = "process_ended"
_STOPPED: Final = "stopped"
_HEAD: Final = "0"

# What whoever sees processes end writes about it; what is written in another way is told as it is.
_DETAILS: Final[Mapping[str, re.Pattern[str]]] = {
    name: re.compile(pattern)
    for name, pattern in (
        ("detail_memory", r"(?P<used>\d+) bytes of memory used, (?P<allowed>\d+) allowed"),
        (
            "detail_memory_peak",
            r"its memory limit of (?P<allowed>\d+) bytes was exceeded; (?P<used>\d+) bytes were used when .*",
        ),
        ("detail_memory_limit", r"its memory limit of (?P<allowed>\d+) bytes was exceeded"),
        ("detail_status", r"exit status (?P<status>\d+)"),
        ("detail_signal", r"ended by (?P<signal>SIG\w+)"),
        ("detail_no_head", r"its Dask scheduler did not appear"),
        ("detail_failed", r"it failed to start or to go on; its log says why"),
        ("detail_open_door", r"it listened where no certificate is demanded"),
        ("detail_no_keeper", r"its keeper ended before it"),
        ("detail_node_lost", r"its node (?P<node>\S+) is lost"),
    )
}
_SIZES: Final = frozenset({"used", "allowed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnd:
    """How a process of a cluster ended: `ordinal` is its number in it, `cause` and `detail` are the center's."""

    ordinal: str
    cause: str
    detail: str
    at: int

    @classmethod
    def of(cls, event: Event) -> ProcessEnd | None:
        """Read the end of a process that nobody meant to end; None if the event tells of something else."""
        cause = event.details.get("cause", "")
        if event.kind != _PROCESS_ENDED or cause == _STOPPED:
            return None
        ordinal = _ordinal(event.details.get("process", ""))
        return cls(ordinal=ordinal, cause=cause, detail=event.details.get("detail", ""), at=event.at)

    def who(self, words: Words) -> str:
        """Return which process it was."""
        return _who(self.ordinal, words)

    def how(self, words: Words) -> str:
        """Return what happened to it, without when."""
        name = f"process_{self.cause}"
        said = words(name if name in words else "process_other", who=self.who(words), cause=self.cause)
        return f"{said} ({told})" if (told := self._told_detail(words)) else said

    def _told_detail(self, words: Words) -> str:
        for name, pattern in _DETAILS.items():
            if found := pattern.fullmatch(self.detail):
                return words(name, **{value: _written(value, text, words) for value, text in found.groupdict().items()})
        return harmless(self.detail)


def who(process: str, words: Words) -> str:
    """Return which process of its cluster a name is."""
    return _who(_ordinal(process), words)


def _ordinal(process: str) -> str:
    return process.split("-")[-2:][0]


def _who(ordinal: str, words: Words) -> str:
    return words("the_head") if ordinal == _HEAD else words("the_worker", ordinal=ordinal)


def _written(value: str, text: str, words: Words) -> str:
    return as_written(write_bytes(int(text)), words) if value in _SIZES else text


def why_ended(code: str | None, words: Words) -> str:
    """Return why a request ended, by the center's code for it; the code itself if it is newer than this client."""
    name = f"end_{code}"
    return words(name) if name in words else str(code)


def process_ends(events: Iterable[Event], words: Words) -> Iterator[str]:
    """Yield a line for each process that ended without being meant to; one for all ends of it that are alike."""
    alike: dict[tuple[str, str], list[ProcessEnd]] = {}
    for event in events:
        if end := ProcessEnd.of(event):
            alike.setdefault((end.ordinal, end.cause), []).append(end)
    for ends in alike.values():
        how, when = ends[-1].how(words), write_moment(ends[-1].at, words)
        name = "ended_once" if len(ends) == 1 else "ended_often"
        yield words(name, how=how, when=when, count=len(ends))
