"""Advice is true: with the change that it names the request starts, and with one step less it does not."""

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from registry.ids import MicroCredits
from registry.resources import CPU, GIB, MEMORY, MILLI, Resources
from scheduler.advice import (
    Advice,
    EndOwn,
    FewerWorkers,
    MoreCredit,
    MoreQuota,
    ShorterWalltime,
    SmallerWorkers,
)
from scheduler.advising import MOST_DECISIONS, Advising
from scheduler.decide import answer, decide
from scheduler.explain import Explanations
from scheduler.requests import Request
from scheduler.snapshot import Snapshot
from tests.builders import NOW
from tests.properties.worlds import applied, snapshots

CREDIT = 1_000_000
STEPS = {CPU: MILLI // 10, MEMORY: GIB // 4}


def starts(snapshot: Snapshot, request: Request, advice: Advice) -> bool:
    plan = decide(advice.applied(snapshot, request, NOW), NOW)
    return request.id in {placement.request.id for placement in plan.placements}


def one_step_less(advice: Advice, request: Request) -> Advice | None:
    """Return the same kind of change, smaller by one step; None if that would be no change."""
    less: Advice | None = None
    match advice:
        case FewerWorkers(workers=count) if count + 1 < request.workers_min:
            less = FewerWorkers(workers=count + 1)
        case ShorterWalltime(walltime_seconds=seconds) if seconds + 60 < request.walltime_seconds:
            less = ShorterWalltime(walltime_seconds=seconds + 60)
        case SmallerWorkers(resource=name, each=each) if each + STEPS[name] < request.worker.amount(name):
            less = SmallerWorkers(resource=name, each=each + STEPS[name])
        case EndOwn(clusters=count, requests=some) if count > 1:
            less = EndOwn(clusters=count - 1, requests=some[:-1])
        case MoreCredit(more=credit) if credit > CREDIT:
            less = replace(advice, more=MicroCredits(credit - CREDIT))
        case MoreQuota(more=more):
            fewer = max(-(-amount // STEPS[name]) for name, amount in more.items() if amount) - 1
            amounts = ((name, min(fewer * STEPS[name], amount)) for name, amount in more.items())
            less = replace(advice, more=Resources.of(amounts)) if fewer else None
    return less


@settings(max_examples=40)
@given(snapshots(), st.data())
def test_what_is_advised_starts_the_request_and_a_step_less_does_not(empty: Snapshot, data: st.DataObject) -> None:
    center = applied(empty, decide(empty, NOW), NOW)
    waiting = sorted(center.pending(), key=lambda one: one.id)
    if not waiting:
        return
    request = data.draw(st.sampled_from(waiting))
    explanation = Explanations(center, NOW).of(request.id)
    assert explanation is not None
    advising = Advising(center, request.id, explanation.reasons, answer(center, NOW))
    for advice in advising.found():
        event(advice.code)
        assert starts(center, request, advice), advice
        less = one_step_less(advice, request)
        assert less is None or not starts(center, request, less), (advice, less)
    assert advising.decisions <= MOST_DECISIONS
