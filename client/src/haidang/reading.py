"""Commands that only read: queue, why, usage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import click

from haidang.amounts import write_bytes, write_cores
from haidang.answers import Explanation, Request, Statement
from haidang.desk import CenterCommand, Desk
from haidang.progress import local_time
from haidang.tables import table, terminal_width
from haidang.words import Words

MICRO: Final = 1_000_000


@click.command(cls=CenterCommand, help="help_queue")
@click.option("--project", metavar="ID", help="help_project_filter")
@click.option("--mine", is_flag=True, help="help_mine")
@click.option("--all", "with_ended", is_flag=True, help="help_all")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="help_limit")
@click.pass_obj
def queue(desk: Desk, *, project: str | None, mine: bool, with_ended: bool, limit: int) -> None:
    """List requests, the newest first."""
    found = list(islice(_wanted(desk, project, mine=mine, with_ended=with_ended), limit))
    desk.tell(found, lambda: _queue_lines(found, desk.words))


@click.command(cls=CenterCommand, help="help_why")
@click.argument("request_id", metavar="ID")
@click.pass_obj
def why(desk: Desk, *, request_id: str) -> None:
    """Say why a request waits, or where it stands."""
    told = desk.center.explain(request_id)
    desk.tell(told, lambda: _why_lines(desk, request_id, told))


@click.command(cls=CenterCommand, help="help_usage")
@click.option("--project", metavar="ID", help="help_project")
@click.pass_obj
def usage(desk: Desk, *, project: str | None) -> None:
    """Print the bill of a project."""
    bill = desk.center.usage(project)
    desk.tell(bill, lambda: _bill_lines(bill, desk.words))


def credits_of(micro_credits: int) -> str:
    """Write an amount of credits for people; six places are exact, two are enough for most."""
    text = f"{micro_credits / MICRO:,.6f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def _wanted(desk: Desk, project: str | None, *, mine: bool, with_ended: bool) -> Iterator[Request]:
    """Yield what waits, then what runs, unless what has ended is wanted too: then all, the newest first."""
    for state in (None,) if with_ended else ("pending", "placed"):
        yield from desk.center.requests(state=state, project=project, mine=mine)


def _queue_lines(requests: list[Request], words: Words) -> list[str]:
    if not requests:
        return [words("queue_empty")]
    headings = [words(f"heading_{name}") for name in ("id", "state", "workers", "each", "project", "since", "why")]
    rows = [
        [
            request.id,
            _state(request, words),
            _workers(request),
            f"{write_cores(request.worker.millicores)} x {write_bytes(request.worker.memory)}",
            request.project,
            local_time(request.placed or request.submitted),
            ", ".join(request.reasons) or request.name,
        ]
        for request in requests
    ]
    return table(headings, rows, width=terminal_width())


def _state(request: Request, words: Words) -> str:
    stands = "held" if request.state == "pending" and (request.user_hold or request.operator_hold) else request.stands
    name = f"state_{stands}"
    return words(name) if name in words else stands


def _workers(request: Request) -> str:
    least, most = request.workers.min, request.workers.max
    return f"{least}" if least == most else f"{least}-{most}"


def _why_lines(desk: Desk, request_id: str, told: Explanation) -> Iterator[str]:
    words = desk.words
    if told.place is None:
        request = desk.center.request(request_id)
        name = f"phase_{request.stands}"
        yield words(name if name in words else "phase_other", id=request_id, phase=request.stands)
        if request.end is not None and f"end_{request.end}" in words:
            yield words("because", why=words(f"end_{request.end}"))
        return
    yield words("phase_pending", id=request_id) + ": " + words("place", place=told.place, pending=told.pending)
    if not told.reasons:
        yield words("starts_next")
    for reason in told.reasons:
        yield f"  - {reason.sentence or reason.code}"
    if told.expected is not None:
        yield words("expected", when=local_time(told.expected))


def _bill_lines(bill: Statement, words: Words) -> list[str]:
    amounts = [
        ("bill_granted", bill.granted_micro_credits),
        ("bill_charged", bill.charged_micro_credits),
        ("bill_running", bill.outstanding_micro_credits),
        ("bill_left", bill.available_micro_credits),
        ("bill_absorbed", bill.absorbed_micro_credits),
    ]
    rows = [[words(name), credits_of(amount)] for name, amount in amounts]
    lines = table([words("bill_of", project=bill.project), words("heading_credits")], rows, width=None, numbers=1)
    use = [
        [
            pool.pool,
            f"{pool.usage.core_hours:,.4f}",
            f"{pool.usage.gib_hours:,.4f}",
            credits_of(pool.charged_micro_credits),
        ]
        for pool in bill.pools
    ]
    headings = [words(f"heading_{name}") for name in ("pool", "core_hours", "gib_hours", "credits")]
    return [*lines, "", *table(headings, use, width=None, numbers=3)] if use else lines
