"""What would become of a request, and when one that waits starts, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from haidang.amounts import write_credits, write_moment
from haidang.answers import Estimate, Interval, Overtakable, Start
from haidang.words import Words


def estimate_lines(found: Estimate, words: Words) -> Iterator[str]:
    """Yield when it would start, what would stop it and what it would hold."""
    if not found.reasons:
        yield words("estimate_at_once")
    elif found.start is None:
        yield words("estimate_unknown")
    else:
        yield words("estimate_start", **_intervals(found.start, words))
    yield from (f"  - {reason.sentence or reason.code}" for reason in found.reasons)
    if found.micro_credits is not None:
        yield words("estimate_credits", credits=write_credits(found.micro_credits, words))


def foreseen(start: Start | None, words: Words) -> Iterator[str]:
    """Yield when something that waits was foreseen to start, if it was."""
    if start is not None:
        yield words("foreseen_start", **_intervals(start, words))


def overtaken(overtakable: Overtakable | None, words: Words) -> Iterator[str]:
    """Yield for how long others may go before something that waits, unless its start is protected."""
    if overtakable is not None:
        until, since = (write_moment(moment, words) for moment in (overtakable.until, overtakable.promised_from))
        yield words("overtaken_due" if overtakable.is_due else "overtaken", until=until, since=since)


def _intervals(start: Start, words: Words) -> dict[str, str]:
    return {"likely": _interval(start.percent_50, words), "almost": _interval(start.percent_90, words)}


def _interval(interval: Interval, words: Words) -> str:
    earliest, latest = (write_moment(moment, words) for moment in (interval.earliest, interval.latest))
    return words("from_to", earliest=earliest, latest=latest)
