"""A log is run through the loops of production to its end, second by second as they would have done it."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from operations.events import Event, EventKind
from operations.ports.store import Claim, Work
from quotas.ledger import EntryKind
from quotas.tree import Quota
from registry.ids import InstitutionId, MicroCredits, RequestId
from registry.resources import NOTHING
from scheduler.policies import NAMED
from scheduler.requests import End
from scheduler.troubles import REFUSALS
from simulator.invariants import BrokenInvariantError, check
from simulator.lublin import Workload, made_up_log
from simulator.outside import numbered
from simulator.report import Outcome
from simulator.site import POOL, Site, one_core, unbounded
from simulator.swf import RigidJob, rigid_jobs
from simulator.world import World

HOUR = 3600


def a_job(index: int, submit: int, run: int, procs: int, *, est: int | None = None, group: int = 1) -> RigidJob:
    return RigidJob(
        index=index, job_id=index, submit=submit, procs=procs, run=run, est=est or run, user=index, group=group
    )


def lived(world: World) -> list[Outcome]:
    return sorted(world.run(), key=lambda one: one.index)


def times(world: World) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in lived(world)]


def test_a_job_that_fits_runs_from_the_second_it_came_for_as_long_as_it_does() -> None:
    assert times(World(Site(processors=4), [a_job(0, 7, 100, 4)])) == [(7, 107)]


def test_whoever_looks_on_may_have_another_job_come_for_each_that_starts() -> None:
    first_job = a_job(0, 7, 100, 4)
    world = World(Site(processors=4), [first_job])

    def hear(told: Sequence[Event]) -> None:
        for event in told:
            if event.kind is EventKind.PLACED and world.job_of(event.request).index == 0:
                world.add(replace(first_job, index=1, submit=9, run=50))

    world.store.subscribe(hear)
    first, second = world.run()
    assert ((first.start, first.end), (second.start, second.end)) == ((7, 107), (107, 157))
    assert all(share.granted == NOTHING for share in world.snapshot.shares.values())


def test_who_completes_makes_room_in_the_same_second_for_who_waits_and_who_just_came() -> None:
    jobs = [a_job(0, 0, 100, 4), a_job(1, 5, 50, 2), a_job(2, 100, 50, 2)]
    assert times(World(Site(processors=4), jobs)) == [(0, 100), (100, 150), (100, 150)]


def test_what_ends_before_the_protected_start_goes_first() -> None:
    jobs = [a_job(0, 0, 100, 3), a_job(1, 1, 100, 4), a_job(2, 2, 60, 1), a_job(3, 3, 200, 1)]
    starts = [start for start, _ in times(World(Site(processors=4), jobs, unbounded(NAMED["fcfs-easy"])))]
    assert starts[2] == 2
    assert starts[1] <= starts[3], "the long one may not delay who is protected"


def test_work_that_passes_its_walltime_is_ended_by_the_loops() -> None:
    world = World(Site(processors=4), [a_job(0, 0, 500, 4, est=100), a_job(1, 0, 10, 4)])
    first, second = lived(world)
    assert (first.end, first.why) == (first.start + 100, End.WALLTIME)
    assert (second.end - second.start, second.why) == (10, End.CANCELLED)
    assert max(first.start, second.start) == min(first.end, second.end)


def test_long_work_is_charged_by_the_hour_and_in_all_for_what_it_held() -> None:
    world = World(Site(processors=4), [a_job(0, 1800, 3 * HOUR, 3)])
    lived(world)
    charges = [entry for entry in world.store.entries() if entry.kind is EntryKind.CHARGE]
    assert [entry.usage.core_milliseconds // 3000 for entry in charges] == [1800, HOUR, HOUR, 1800]
    assert sum(entry.amount for entry in charges) == 9_000_000, "three cores for three hours at a credit each"


def test_a_gang_takes_one_place_on_as_many_nodes_as_it_has_processes() -> None:
    jobs = [a_job(0, 0, 100, 3), a_job(1, 0, 100, 1), a_job(2, 10, 10, 4)]
    assert times(World(Site(processors=4, nodes=4), jobs)) == [(0, 100), (0, 100), (100, 110)]


def test_who_could_never_run_is_told_so_and_who_cannot_pay_waits_for_ever() -> None:
    world = World(Site(processors=4, credits=MicroCredits(1000)), [a_job(0, 0, 10, 5), a_job(1, 0, HOUR, 4)])
    assert lived(world) == []
    ((refused, why),) = world.refused
    assert refused.index == 0
    assert {reason.code for reason in why.reasons} >= {"process-never-fits"}
    assert [job.index for job in world.waiting] == [1]


def test_a_site_may_give_its_members_unequal_quotas() -> None:
    jobs = [a_job(index, 0, 100, 1, group=1 + index % 2) for index in range(8)]
    quotas = {InstitutionId("g1"): Quota(nominal=one_core(3)), InstitutionId("g2"): Quota(nominal=one_core(1))}
    run = lived(World(Site(processors=4, quotas=quotas), jobs))
    assert sorted(one.start for one in run if one.institution == "g2") == [0, 100, 200, 300]
    assert sorted(one.start for one in run if one.institution == "g1") == [0, 0, 0, 100]


def test_what_is_still_held_at_the_end_breaks_the_run() -> None:
    world = World(Site(processors=4), [a_job(0, 0, 100, 1)])
    lived(world)
    check(world.store)

    def take_for_good(work: Work) -> None:
        (node,) = work.capacity.nodes(POOL)
        claim = Claim(project=world.site.project_of(a_job(0, 0, 1, 1)), pool=POOL, nodes=((node.id, one_core()),))
        assert work.capacity.take(claim) is None

    world.store.transact(take_for_good)
    with pytest.raises(BrokenInvariantError, match="has not got back"):
        check(world.store)


@pytest.mark.parametrize("nodes", [1, 16])
def test_a_made_up_log_runs_to_its_end_within_the_machine(nodes: int) -> None:
    log = made_up_log(Workload(jobs=60, processors=16, load=3.0), Random(11))
    jobs = rigid_jobs(log, 16)
    world = World(Site(processors=16, nodes=nodes), jobs)
    run = lived(world)
    assert [one.index for one in run] == list(range(60))
    assert world.waiting == ()
    for outcome, job in zip(run, jobs, strict=True):
        assert outcome.start >= job.submit
        assert outcome.end - outcome.start == job.run
        held = sum(one.procs for one in run if one.start <= outcome.start < one.end)
        assert held <= 16, outcome
    charged = sum(entry.usage.core_milliseconds for entry in world.store.entries())
    assert charged == sum(job.procs * job.run for job in jobs) * 1000


def test_the_same_log_runs_the_same_twice() -> None:
    jobs = rigid_jobs(made_up_log(Workload(jobs=40, processors=8), Random(12)), 8)
    assert lived(World(Site(processors=8), jobs)) == lived(World(Site(processors=8), jobs))


def test_a_forgetful_run_ends_alike_and_keeps_the_money_alone() -> None:
    jobs = [replace(a_job(index, index, 1, 1), user=1) for index in range(250)]
    keeping, forgetful = (World(Site(processors=4), jobs, forgetful=one) for one in (False, True))
    assert lived(keeping) == lived(forgetful)
    assert keeping.store.balances() == forgetful.store.balances()
    assert {event.request for event in keeping.store.events()} == {RequestId(numbered(n)) for n in range(1, 251)}
    assert {event.request for event in forgetful.store.events()} == {RequestId(numbered(n)) for n in range(201, 251)}
    assert len(forgetful.store.entries()) == len(keeping.store.entries()) - 2 * 200


def test_a_pass_that_fails_where_nothing_may_breaks_the_run() -> None:
    world = World(Site(processors=4), [a_job(0, 0, 100, 1)])
    world.backend.hinder(next(iter(REFUSALS)))
    with pytest.raises(BrokenInvariantError, match="a pass failed"):
        lived(world)
