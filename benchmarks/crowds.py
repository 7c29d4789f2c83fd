"""A large center as facts alone: nodes full of running clusters, institutions that lend all, and a long queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from quotas.allocations import Allocation
from quotas.rates import RateCard, RateRule, Term
from quotas.tree import Quota, Share
from registry.centers import Node, Tier
from registry.ids import (
    AllocationId,
    CenterId,
    EnvironmentId,
    InstitutionId,
    MicroCredits,
    NodeId,
    PersonId,
    PoolId,
    ProjectId,
    RequestId,
    Seconds,
    ShareId,
    institution_of,
)
from registry.resources import CPU, GIB, MILLI, NOTHING, Resources
from registry.tags import FundingSource, Tags
from scheduler.clusters import Part, Process
from scheduler.facts import Fact
from scheduler.requests import Draft, Request, RequestClass, State
from simulator.outside import numbered

CENTER: Final = CenterId("center")
POOL: Final = PoolId("main")
NOW: Final = Seconds(1_800_000_000)
HOUR: Final = 3600
WORKERS: Final = 3
HEAD: Final = Resources(millicores=MILLI // 2, memory=2 * GIB)
WORKER: Final = Resources(millicores=16 * MILLI, memory=64 * GIB)
_WORKERS_ON_A_NODE: Final = 6
_PLENTY: Final = MicroCredits(10**14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How many there are of each; with three workers a cluster, what runs by default leaves no node room for more."""

    pending: int
    running: int = 10_000
    nodes: int = 5_000
    institutions: int = 1_000


class Center:
    """The facts of a center, and what changes in it; the same for the same seed."""

    def __init__(self, crowd: Crowd, seed: int = 2026) -> None:
        """Fill the nodes."""
        assert crowd.running * WORKERS <= crowd.nodes * _WORKERS_ON_A_NODE, crowd
        self._crowd: Final = crowd
        self._chance: Final = Random(seed)  # noqa: S311 - for shapes of work, not for secrets
        self._last = 0
        self.whole: Final = _NODE * crowd.nodes

    def facts(self) -> Iterator[Fact]:
        """Yield all of them, as a store would hand them over from the beginning."""
        yield RateCard(since=Seconds(0), rules=(_RULE,))
        clusters = [self._cluster(number) for number in range(self._crowd.running)]
        processes = [process for _, slots in clusters for process in slots]
        yield from self._nodes(processes)
        yield from self._shares([request for request, _ in clusters])
        yield from (request for request, _ in clusters)
        yield from processes
        yield from (self.arrival(Seconds(NOW - self._chance.randrange(48 * HOUR))) for _ in range(self._crowd.pending))

    def arrival(self, submitted: Seconds) -> Request:
        """Return a request of somebody for one to eight workers, for one to twelve hours."""
        chance = self._chance
        return self._draft(
            workers=chance.choice((1, 1, 2, 2, 4, 8)),
            walltime_seconds=chance.choice((1, 2, 4, 8, 12)) * HOUR,
            request_class=chance.choice((RequestClass.NORMAL, RequestClass.NORMAL, RequestClass.SCAVENGER)),
        ).accepted(submitted)

    def _cluster(self, number: int) -> tuple[Request, Sequence[Process]]:
        placed = Seconds(NOW - self._chance.randrange(1, 4 * HOUR))
        walltime_seconds = 4 * HOUR + self._chance.randrange(44 * HOUR)
        request = self._draft(workers=WORKERS, walltime_seconds=walltime_seconds).accepted(Seconds(placed - HOUR))
        running = replace(
            request,
            state=State.PLACED,
            placed=placed,
            deadline=Seconds(placed + walltime_seconds),
            allocation=_allocation_of(request.project),
        )
        first = number * WORKERS
        places = [number % self._crowd.nodes, *((first + one) // _WORKERS_ON_A_NODE for one in range(WORKERS))]
        return running, [_slot(running, ordinal, place) for ordinal, place in enumerate(places)]

    def _draft(
        self, *, workers: int, walltime_seconds: int, request_class: RequestClass = RequestClass.NORMAL
    ) -> Draft:
        self._last += 1
        number = int(self._crowd.institutions * self._chance.random() ** 2)
        project = ProjectId(f"i{number:04}.p{self._chance.randrange(2)}")
        return Draft(
            id=RequestId(numbered(self._last)),
            name="",
            person=PersonId(numbered(10 * number + self._chance.randrange(10))),
            tags=_tags(project),
            pool=POOL,
            request_class=request_class,
            environment=EnvironmentId("default"),
            head=HEAD,
            worker=WORKER,
            workers_min=workers,
            workers_max=workers,
            walltime_seconds=walltime_seconds,
            idle_seconds=HOUR,
        )

    def _nodes(self, processes: Sequence[Process]) -> Iterator[Node]:
        granted: dict[NodeId, Resources] = {}
        for process in processes:
            granted[process.node] = granted.get(process.node, NOTHING) + process.shape
        for number in range(self._crowd.nodes):
            name = _node(number)
            yield Node(id=name, pool=POOL, capacity=_NODE, granted=granted.get(name, NOTHING))

    def _shares(self, running: Sequence[Request]) -> Iterator[Fact]:
        granted: dict[str, Resources] = {}
        for request in running:
            for name in (request.project, request.institution, CENTER):
                granted[name] = granted.get(name, NOTHING) + request.gang_total()
        part = Resources.of((name, amount // self._crowd.institutions) for name, amount in self.whole.items())
        own = Quota(nominal=part, borrowing=self.whole, lending=part)
        yield _share(CENTER, None, Quota(nominal=self.whole), granted)
        for number in range(self._crowd.institutions):
            institution = InstitutionId(f"i{number:04}")
            yield _share(institution, CENTER, own, granted)
            for name in (ProjectId(f"{institution}.p{one}") for one in range(2)):
                yield _share(name, institution, Quota(nominal=NOTHING, borrowing=self.whole), granted)
                yield Allocation(
                    id=_allocation_of(name),
                    project=name,
                    funding=FundingSource("city"),
                    begins=Seconds(0),
                    ends=Seconds(NOW * 2),
                    available=_PLENTY,
                    held=MicroCredits(0),
                )


_NODE: Final = WORKER * _WORKERS_ON_A_NODE + HEAD * 4
_RULE: Final = RateRule(pool=POOL, groups=((Term(resource=CPU, step=MILLI, micro_credits=1_000_000),),))


def _slot(request: Request, ordinal: int, place: int) -> Process:
    return Process(
        request=request.id,
        ordinal=ordinal,
        part=Part.GUARANTEED if ordinal else Part.HEAD,
        node=_node(place),
        shape=WORKER if ordinal else HEAD,
        hold=MicroCredits(0),
        address="tls://10.0.0.1:1",
        started=request.placed,
    )


def _share(name: str, parent: str | None, quota: Quota, granted: dict[str, Resources]) -> Share:
    above = ShareId(parent) if parent else None
    return Share(id=ShareId(name), pool=POOL, parent=above, quota=quota, granted=granted.get(name, NOTHING))


def _tags(project: ProjectId) -> Tags:
    return Tags(center=CENTER, institution=institution_of(project), project=project, pool=POOL, tier=Tier.HPC)


def _allocation_of(project: ProjectId) -> AllocationId:
    return AllocationId(f"of-{project}")


def _node(number: int) -> NodeId:
    return NodeId(f"n{number:05}")
