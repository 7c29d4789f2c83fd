"""However others have filled a center, an owner has its part back in time, and nobody pays for what is lost."""

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from operations.events import EventKind
from quotas.ledger import EntryKind
from simulator.site import Site, unbounded
from simulator.swf import RigidJob
from simulator.world import World

PROCESSORS, OWN = 4, 2
LEAST = 500
POLICY = replace(unbounded(), minimum_run_seconds=LEAST)
BORROWER, OWNER = 1, 2
JOB = st.tuples(st.integers(0, 2000), st.integers(1, PROCESSORS), st.sampled_from([100, 400, 3000, 20_000]))


def a_job(index: int, group: int, submit: int, procs: int, run: int) -> RigidJob:
    return RigidJob(index=index, job_id=index, submit=submit, procs=procs, run=run, est=run, user=group, group=group)


@settings(max_examples=15)
@given(drawn=st.lists(JOB, min_size=1, max_size=8), asks=st.tuples(st.integers(0, 2000), st.integers(1, OWN)))
def test_an_owner_starts_within_the_least_time_of_who_borrows_and_a_notice(
    drawn: list[tuple[int, int, int]], asks: tuple[int, int]
) -> None:
    jobs = [a_job(index, BORROWER, *job) for index, job in enumerate(drawn)]
    jobs.append(a_job(len(jobs), OWNER, *asks, 50))
    world = World(Site(processors=PROCESSORS, nodes=PROCESSORS), jobs, POLICY)
    run = {one.index: one for one in world.run()}
    assert len(run) == len(jobs), "whoever had to make way has run to its end since"
    owner = run[len(jobs) - 1]
    assert owner.start - owner.submit <= LEAST + POLICY.notice_seconds
    assert all(one.end - one.start == jobs[index].run for index, one in run.items())
    told = [one for one in world.store.events() if one.kind is EventKind.REQUEUED]
    event("somebody made way" if told else "nobody had to")
    paid = refunded = 0
    for entry in world.store.entries():
        paid += entry.amount if entry.kind is EntryKind.CHARGE else 0
        refunded += entry.amount if entry.kind is EntryKind.REFUND else 0
    worth = sum(one.area for one in run.values()) * 1_000_000 / 3600
    assert bool(refunded) == bool(told)
    assert abs(paid - refunded - worth) <= PROCESSORS * len(jobs), "nobody pays for a run that was cut short"
