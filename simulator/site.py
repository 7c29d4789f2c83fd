"""The simulated center: its nodes, its members as a log names them, and what each job of the log asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from operator import attrgetter
from typing import Final

from operations.ports.store import Work
from quotas.allocations import Award
from quotas.ledger import grant_entry
from quotas.rates import RateCard, RateRule, Term
from quotas.tree import Quota, Share
from registry.centers import Environment, Node, Pool, Tier
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
    Seconds,
    ShareId,
    institution_of,
)
from registry.institutions import Project
from registry.resources import CPU, GIB, MILLI, Resources
from registry.tags import UNREPORTED, FundingSource, Sector, Tags, Topic
from scheduler.policy import DEFAULT_POLICY, WHOLE_PERCENT, Policy
from scheduler.requests import Draft, RequestClass
from simulator.outside import NumberedIds, numbered
from simulator.swf import RigidJob
from store.memory import MemoryStore

CENTER: Final = CenterId("center")
POOL: Final = PoolId("main")
ENVIRONMENT: Final = EnvironmentId("default")
NEW_YEAR: Final = Seconds(1_767_225_600)
"""Of 2026, at midnight in UTC."""
PLENTY: Final = MicroCredits(10**15)
_FUNDING: Final = FundingSource("city")
_WITHOUT_END: Final = 10**9
_YEARS: Final = Seconds(10**10)


def one_core(count: int = 1) -> Resources:
    """Return so many cores, each with its GiB: memory never binds before them."""
    return Resources(millicores=count * MILLI, memory=count * GIB)


def unbounded(policy: Policy = DEFAULT_POLICY) -> Policy:
    """Return a policy whose normal class refuses nobody for what a log has: length, size, or how many of a person.

    What a log says of jobs that have run to their end is of no use for jobs that are stopped, so that none is.
    """
    normal = replace(
        policy.classes[RequestClass.NORMAL],
        longest_walltime_seconds=_WITHOUT_END,
        largest_workers=_WITHOUT_END,
        most_per_person=_WITHOUT_END,
        most_waiting=_WITHOUT_END,
        most_waiting_of_institution=_WITHOUT_END,
        share_percent=WHOLE_PERCENT,
    )
    return replace(policy, minimum_run_seconds=None, classes={**policy.classes, RequestClass.NORMAL: normal})


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A pool of so many processors on so many equal nodes, and who of a log is a member.

    `member` gives the number of a job's institution, by default its group; its user is a person with a project there.
    Second 0 of the log is at `epoch`. Quotas are equal parts of which all is lent, unless `quotas` names others; each
    project is awarded `credits`, and a core costs a credit an hour.
    """

    processors: int
    nodes: int = 1
    member: Callable[[RigidJob], int] = attrgetter("group")
    epoch: Seconds = NEW_YEAR
    credits: MicroCredits = PLENTY
    quotas: Mapping[InstitutionId, Quota] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold our own code to nodes that are equal, and either one or of one core each."""
        assert self.nodes in {1, self.processors}, self

    @property
    def whole(self) -> Resources:
        """Return what all nodes have."""
        return one_core(self.processors)

    def project_of(self, job: RigidJob) -> ProjectId:
        """Return the project that a job is charged to; its institution is part of the name."""
        return ProjectId(f"g{self.member(job)}.u{job.user}")

    def draft_of(self, job: RigidJob, ids: NumberedIds) -> Draft:
        """Return what a job asks for: its processors as one process on the only node, or as one process each."""
        on_one = self.nodes == 1
        workers = 0 if on_one else job.procs - 1
        return Draft(
            id=ids.request(),
            name="",
            person=_person(job.user),
            tags=_tags(self.project_of(job)),
            pool=POOL,
            request_class=RequestClass.NORMAL,
            environment=ENVIRONMENT,
            head=one_core(job.procs if on_one else 1),
            worker=one_core(),
            workers_min=workers,
            workers_max=workers,
            walltime_seconds=job.est,
            idle_seconds=_WITHOUT_END,
        )


def found(store: MemoryStore, site: Site, jobs: Iterable[RigidJob]) -> None:
    """Put into an empty store the nodes, and whoever of the jobs is a member with quota and credit."""
    projects = sorted({site.project_of(job) for job in jobs})
    members = sorted({institution_of(project) for project in projects})
    per_node = site.processors // site.nodes
    store.seed(
        Pool(id=POOL, center=CENTER, tier=Tier.HPC, name="Main"),
        Environment(id=ENVIRONMENT, version="1", python="3.11", distributed="2026.8.0", path="/"),
        RateCard(since=Seconds(0), rules=(_RULE,)),
        *(Node(id=NodeId(f"n{number:06}"), pool=POOL, capacity=one_core(per_node)) for number in range(site.nodes)),
        _share(CENTER, None, Quota(nominal=site.whole)),
        *(_share(one, CENTER, site.quotas.get(one) or _part(site.whole, len(members))) for one in members),
        *map(_project, projects),
        *(_share(one, institution_of(one), Quota(nominal=Resources(), borrowing=site.whole)) for one in projects),
    )
    store.transact(_award_all, projects, site.credits)


_RULE: Final = RateRule(pool=POOL, groups=((Term(resource=CPU, step=MILLI, micro_credits=1_000_000),),))


def _award_all(work: Work, projects: Iterable[ProjectId], micro_credits: MicroCredits) -> None:
    for project in projects:
        award = Award(
            id=AllocationId(f"of-{project}"),
            project=project,
            funding=_FUNDING,
            credits=micro_credits,
            begins=Seconds(0),
            ends=_YEARS,
        )
        work.accounts.open(award)
        work.accounts.post([grant_entry(award, _tags(project), Seconds(0))])


def _part(whole: Resources, parts: int) -> Quota:
    """Return the quota of one of so many who promise each other all that is idle."""
    own = Resources.of((name, amount // parts) for name, amount in whole.items())
    return Quota(nominal=own, borrowing=whole - own, lending=own)


def _share(name: str, parent: str | None, quota: Quota) -> Share:
    return Share(id=ShareId(name), pool=POOL, parent=ShareId(parent) if parent else None, quota=quota)


def _project(name: ProjectId) -> Project:
    unreported = Sector(UNREPORTED), Topic(UNREPORTED)
    return Project(
        id=name,
        institution=institution_of(name),
        name=name,
        sector=unreported[0],
        topic=unreported[1],
        opened=Seconds(0),
    )


@cache
def _tags(project: ProjectId) -> Tags:
    return Tags(center=CENTER, institution=institution_of(project), project=project, pool=POOL, tier=Tier.HPC)


@cache
def _person(user: int) -> PersonId:
    return PersonId(numbered(user + 1))
