"""Whatever comes when, each job runs once, for as long as it does or may, on processors that nobody else has then."""

from hypothesis import given, settings
from hypothesis import strategies as st

from quotas.ledger import EntryKind
from scheduler.requests import End
from simulator.report import Outcome
from simulator.site import Site
from simulator.swf import RigidJob
from simulator.world import World

PROCESSORS = 4
JOB = st.tuples(
    st.integers(0, 5000), st.integers(1, PROCESSORS), st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 3)
)


def numbered(drawn: list[tuple[int, int, int, int, int]]) -> list[RigidJob]:
    return [
        RigidJob(index=index, job_id=index, submit=submit, procs=procs, run=run, est=est, user=1, group=group)
        for index, (submit, procs, run, est, group) in enumerate(sorted(drawn))
    ]


def held_at(run: list[Outcome], moment: int) -> int:
    return sum(one.procs for one in run if one.start <= moment < one.end)


@settings(max_examples=25)
@given(drawn=st.lists(JOB, min_size=1, max_size=8), nodes=st.sampled_from([1, PROCESSORS]))
def test_every_job_runs_once_within_the_machine_and_is_charged_for_what_it_held(
    drawn: list[tuple[int, int, int, int, int]], nodes: int
) -> None:
    jobs = numbered(drawn)
    world = World(Site(processors=PROCESSORS, nodes=nodes), jobs)
    run = sorted(world.run(), key=lambda one: one.index)
    assert [one.index for one in run] == [job.index for job in jobs]
    for one, job in zip(run, jobs, strict=True):
        assert one.start >= job.submit
        assert one.end - one.start == min(job.run, job.est)
        assert one.why is (End.CANCELLED if job.run <= job.est else End.WALLTIME)
        assert held_at(run, one.start) <= PROCESSORS
    charged = [entry for entry in world.store.entries() if entry.kind is EntryKind.CHARGE]
    assert sum(entry.usage.core_milliseconds for entry in charged) == sum(one.area for one in run) * 1000
