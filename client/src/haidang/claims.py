"""What a cluster has lost to stronger claims of others, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from haidang.amounts import write_moment
from haidang.answers import Event, Request
from haidang.words import Words, harmless

_OWN: Final = "own-start"
_DRAINING: Final = "node-draining"


def losses(events: Iterable[Event], words: Words) -> Iterator[str]:
    """Yield a line for each way in which a cluster lost workers or its place; one for all losses that are alike."""
    alike: dict[tuple[str, str, str], list[Event]] = {}
    for event in events:
        told = event.details
        if event.kind in {"shrank", "preempted", "requeued"} or (event.kind == "promised" and "cause" in told):
            why = told.get("reason") or told.get("cause") or ""
            alike.setdefault((event.kind, why, told.get("by", "")), []).append(event)
    for (kind, why, by), some in alike.items():
        when, who = write_moment(some[-1].at, words), ", ".join(harmless(by).split())
        count = sum(int(event.details.get("workers", "1")) for event in some)
        yield words(_name(kind, why, some[-1], words), count=count, when=when, by=who, times=len(some))


def preempted(request: Request, words: Words) -> Iterator[str]:
    """Yield how a cluster has to make way, or until when it never will for an owner."""
    told = request.preempted
    if told is not None and request.ended is None:
        name = f"preempted_{told.cause}" if told.requeued is None else f"requeued_{told.cause}"
        when = told.stop_by if told.requeued is None else told.requeued
        name = name if name in words else "preempted_other"
        yield words(name, when=write_moment(when, words), by=", ".join(told.by))
    sure = request.guaranteed_until
    if sure is not None and request.deadline is not None and sure < request.deadline:
        yield words("guaranteed_until", when=write_moment(sure, words))


def _name(kind: str, why: str, event: Event, words: Words) -> str:
    if kind == "promised":
        return f"lost_promise_{why}" if f"lost_promise_{why}" in words else "lost_promise_other"
    if kind != "shrank":
        return f"lost_{kind}"
    if why in {_OWN, _DRAINING}:
        return f"lost_workers_{why}"
    if why == "reclaimed":
        return "lost_workers_urgent" if event.details.get("claim") == "urgent" else "lost_workers_owner"
    return "lost_workers_other"
