"""Commands that only read: queue, why, usage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import click

from haidang.amounts import write_bytes, write_cores, write_credits, write_moment, write_number, write_time
from haidang.answers import Account, Log, Request, Statement
from haidang.claims import losses, preempted
from haidang.desk import CenterCommand, Desk
from haidang.endings import process_ends, why_ended
from haidang.foretelling import foreseen, overtaken
from haidang.progress import expectation
from haidang.refusals import made_up
from haidang.tables import table, terminal_width
from haidang.troubles import failed_starts
from haidang.words import Words


@click.command(cls=CenterCommand, help="help_queue")
@click.option("--project", metavar="ID", help="help_project_filter")
@click.option("--mine", is_flag=True, help="help_mine")
@click.option("--all", "with_ended", is_flag=True, help="help_all")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="help_limit")
@click.pass_obj
def queue(desk: Desk, *, project: str | None, mine: bool, with_ended: bool, limit: int) -> None:
    """List requests, the newest first."""
    found = list(islice(_wanted(desk, project, mine=mine, with_ended=with_ended), limit))
    desk.tell(found, lambda: _queue_lines(found, _counted(desk, found), desk.words))


@click.command(cls=CenterCommand, help="help_why")
@click.argument("request_id", metavar="ID")
@click.pass_obj
def why(desk: Desk, *, request_id: str) -> None:
    """Say why a request waits, or where it stands, and how its processes ended."""
    center = desk.center
    told = center.explain(request_id).model_dump()
    story = Account.model_validate(
        told
        | {
            "advice": center.advise(request_id) if told["reasons"] else (),
            "request": center.request(request_id),
            "events": tuple(center.events(request_id, wait=False)),
        }
    )
    desk.tell(story, lambda: _why_lines(story, desk.words))


@click.command(cls=CenterCommand, help="help_logs")
@click.argument("request_id", metavar="ID")
@click.argument("process", metavar="[PROCESS]", required=False)
@click.pass_obj
def logs(desk: Desk, *, request_id: str, process: str | None) -> None:
    """Print what a process of a request printed last before it ended, or which of them have left anything."""
    if process is None:
        found = desk.center.logs(request_id)
        desk.tell(found, lambda: _log_lines(found, desk.words))
    else:
        log = desk.center.log(request_id, process)
        desk.tell(log, lambda: (log.text or "").removesuffix("\n").split("\n"))


@click.command(cls=CenterCommand, help="help_usage")
@click.option("--project", metavar="ID", help="help_project")
@click.pass_obj
def usage(desk: Desk, *, project: str | None) -> None:
    """Print the bill of a project."""
    bill = desk.center.usage(project)
    desk.tell(bill, lambda: _bill_lines(bill, desk.words))


def _wanted(desk: Desk, project: str | None, *, mine: bool, with_ended: bool) -> Iterator[Request]:
    """Yield what waits, then what runs, unless what has ended is wanted too: then all, the newest first."""
    for state in (None,) if with_ended else ("pending", "placed"):
        yield from desk.center.requests(state=state, project=project, mine=mine)


def _counted(desk: Desk, requests: list[Request]) -> dict[str, int]:
    """Return how many workers answer of each request that has a cluster: lists of requests do not tell it."""
    sought = {request.id for request in requests if request.state == "placed"}
    counted: dict[str, int] = {}
    for cluster in desk.center.clusters() if sought else ():
        if cluster.id in sought:
            counted[cluster.id] = cluster.workers.ready
        if len(counted) == len(sought):
            break
    return counted


def _log_lines(logs: list[Log], words: Words) -> list[str]:
    if not logs:
        return [words("no_logs")]
    headings = [words(f"heading_{name}") for name in ("process", "when", "characters")]
    rows = [[log.process, write_time(log.at, words), write_number(log.characters, 0, words)] for log in logs]
    return table(headings, rows, width=terminal_width(), numbers=1)


def _queue_lines(requests: list[Request], ready: Mapping[str, int], words: Words) -> list[str]:
    if not requests:
        return [words("queue_empty")]
    headings = [words(f"heading_{name}") for name in ("id", "state", "workers", "each", "project", "when", "why")]
    rows = [
        [
            request.id,
            _state(request, words),
            _workers(request, ready.get(request.id), words),
            f"{write_cores(request.worker.millicores)} x {write_bytes(request.worker.memory)}",
            request.project,
            _when(request, words),
            ", ".join(_title(code, words) for code in request.reasons) or request.name,
        ]
        for request in requests
    ]
    return table(headings, rows, width=terminal_width())


def _state(request: Request, words: Words) -> str:
    stands = "held" if request.state == "pending" and (request.user_hold or request.operator_hold) else request.stands
    name = f"state_{stands}"
    return words(name) if name in words else stands


def _workers(request: Request, ready: int | None, words: Words) -> str:
    """Return how many workers there may be, behind how many there are where that is known."""
    least, most = request.workers.min, request.workers.max
    asked = f"{least}" if least == most else f"{least}-{most}"
    return asked if ready is None else words("workers_of", ready=ready, asked=asked)


def _when(request: Request, words: Words) -> str:
    """Return what people ask next: since when it waits, until when it may run, when it ended."""
    if request.ended is not None:
        return write_time(request.ended, words)
    if request.deadline is not None:
        return words("until", when=write_time(request.deadline, words))
    return words("since", when=write_time(request.submitted, words))


def _title(code: str, words: Words) -> str:
    name = f"reason_{code}"
    return words(name) if name in words else code


def _why_lines(story: Account, words: Words) -> Iterator[str]:
    request = story.request
    if story.place is not None:
        yield from _waiting_lines(story, words)
    else:
        name = f"phase_{request.stands}"
        stands = words(name if name in words else "phase_other", id=request.id, phase=request.stands)
        if request.deadline is not None and request.ended is None:
            workers = _workers(request, request.workers_ready, words)
            stands += ": " + words("running", workers=workers, when=write_moment(request.deadline, words))
        yield stands
        if why := request.end or request.ending:
            yield words("because", why=why_ended(why, words))
    yield from preempted(request, words)
    for heading, lines in (("losses", losses), ("failed_starts", failed_starts), ("process_ends", process_ends)):
        if told := list(lines(story.events, words)):
            yield words(heading)
            yield from (f"  - {line}" for line in told)
            if lines is process_ends:
                yield words("see_logs", id=request.id)


def _waiting_lines(story: Account, words: Words) -> Iterator[str]:
    request = story.request
    place = words("place", place=story.place, pending=story.pending)
    yield f"{words('phase_pending', id=request.id)}: {place}"
    if not story.reasons:
        yield words("starts_next")
    sentences = [reason.sentence or reason.code for reason in story.reasons]
    yield from (f"  - {sentence}" for sentence in sentences)
    needs = [reason.model_extra or {} for reason in story.reasons]
    yield from made_up(needs, request.workers.min, request.worker, words)
    yield from expectation(story.expected, sentences, words)
    yield from overtaken(story.overtakable, words)
    yield from foreseen(request.estimate, words)
    for one in story.borrowed if story.reasons else ():
        amount = " ".join((write_cores(one.amount.millicores), words("cores_and"), write_bytes(one.amount.memory)))
        yield words("borrowed", institution=one.institution, amount=amount)
    if story.advice:
        yield words("would_start")
        yield from (f"  - {one.sentence or one.code}" for one in story.advice)
    elif story.reasons:
        yield words("nothing_alone")


def _bill_lines(bill: Statement, words: Words) -> list[str]:
    amounts = [
        ("bill_granted", bill.granted_micro_credits),
        ("bill_charged", bill.charged_micro_credits),
        ("bill_refunded", bill.refunded_micro_credits),
        ("bill_running", bill.outstanding_micro_credits),
        ("bill_left", bill.available_micro_credits),
        ("bill_absorbed", bill.absorbed_micro_credits),
    ]
    rows = [[words(name), write_credits(amount, words)] for name, amount in amounts]
    lines = table([words("bill_of", project=bill.project), words("heading_credits")], rows, width=None, numbers=1)
    use = [
        [
            pool.pool,
            write_number(pool.usage.core_hours, 4, words),
            write_number(pool.usage.gib_hours, 4, words),
            write_credits(pool.charged_micro_credits, words),
        ]
        for pool in bill.pools
    ]
    headings = [words(f"heading_{name}") for name in ("pool", "core_hours", "gib_hours", "credits")]
    return [*lines, "", *table(headings, use, width=None, numbers=3)] if use else lines
