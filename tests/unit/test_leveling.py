"""Sentences about workers that pass from one cluster of an institution to another that is done sooner with them."""

from dataclasses import replace

from registry.ids import InstitutionId, RequestId, Seconds
from scheduler.decide import decide
from scheduler.plan import Claim
from scheduler.policy import DEFAULT_POLICY, HOUR, Policy
from scheduler.requests import RequestClass
from scheduler.snapshot import Snapshot
from tests.builders import NOW, request_id
from tests.properties.worlds import applied, left
from tests.unit.test_reclaim import VMU, a_center, an_elastic, grown

NOTICE = DEFAULT_POLICY.notice_seconds
LONG, SHORT = request_id(1), request_id(2)


def two(fraction: int | None = 1000, *, policy: Policy = DEFAULT_POLICY, lasts: int = HOUR) -> Snapshot:
    """Return a center of eight workers of which a long cluster has seven, and one that came later and is short, one."""
    center = a_center(1, VMU, per_node=8, policy=policy)
    long = an_elastic(1, parallel_fraction=fraction, walltime_seconds=8 * HOUR)
    short = an_elastic(2, parallel_fraction=fraction, most=4, walltime_seconds=lasts)
    running = grown(center, long).with_facts([replace(short, workers_wanted=4)])
    later = left(applied(running, decide(running, NOW), NOW), Seconds(NOW + NOTICE))
    return applied(later, decide(later, Seconds(NOW + NOTICE)), Seconds(NOW + NOTICE))


def told(snapshot: Snapshot, now: int = NOW + NOTICE) -> dict[RequestId, int]:
    return {shrink.request.id: len(shrink.processes) for shrink in decide(snapshot, Seconds(now)).shrinks}


def test_who_is_done_sooner_is_given_what_it_can_use_by_who_has_more_left() -> None:
    now = Seconds(NOW + NOTICE)
    running = two()
    plan = decide(running, now)
    (shrink,) = plan.shrinks
    assert (shrink.request.id, shrink.by, shrink.claim) == (LONG, (InstitutionId("vmu"),), Claim.ELASTIC)
    assert len(shrink.processes) == 3
    told_once = applied(running, plan, now)
    assert not decide(told_once, now).shrinks
    then = Seconds(now + NOTICE)
    (growth,) = decide(left(told_once, then), then).growths
    assert (growth.request.id, len(growth.processes)) == (SHORT, 3)


def test_work_that_is_parallel_in_part_passes_nothing_on() -> None:
    assert not told(two(999))
    assert not told(two(None))


def test_nothing_passes_on_to_what_is_done_before_it_would_come() -> None:
    assert not told(two(lasts=NOTICE))


def test_nothing_passes_on_to_whose_class_could_not_have_it() -> None:
    half = replace(DEFAULT_POLICY.classes[RequestClass.NORMAL], share_percent=99)
    policy = replace(DEFAULT_POLICY, classes={**DEFAULT_POLICY.classes, RequestClass.NORMAL: half})
    assert not told(two(policy=policy))
