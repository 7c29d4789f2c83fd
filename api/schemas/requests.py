"""Requests as they are asked for, and as they are shown."""

from functools import partial
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.paging import PageQuery
from api.schemas.amounts import AmountsOut, ShapeIn
from api.schemas.estimates import StartOut
from api.schemas.replays import replay_of
from api.schemas.shape import PRINTABLE, Choice, Closed, Open, ProjectName, Slug
from operations.permitted import Asked, Holder
from operations.ports.office import RequestFilter, RequestView
from operations.replaying import ReplayKey
from registry.ids import RANDOM_PATTERN, BookingId, EnvironmentId, PersonId, PoolId, ProjectId, RequestId
from registry.tags import Tags
from scheduler.clusters import Cluster, Part, Phase, Process
from scheduler.policy import Policy
from scheduler.requests import (
    DEFAULT_IDLE_SECONDS,
    LONGEST_IDLE_SECONDS,
    LONGEST_WALLTIME_SECONDS,
    MOST_WORKERS,
    NAME_LENGTH,
    SHORTEST_IDLE_SECONDS,
    SHORTEST_WALLTIME_SECONDS,
    Cause,
    Draft,
    End,
    RequestClass,
    State,
    default_head,
)
from scheduler.scaling import WHOLE_FRACTION


class WorkerRangeIn(Closed):
    """How many workers: `min` are guaranteed until the walltime, up to `max` when there is room."""

    min: int = Field(ge=0, le=MOST_WORKERS, examples=[2])
    max: int = Field(ge=1, le=MOST_WORKERS, examples=[8])


class RequestIn(Closed):
    """A Dask cluster that somebody asks for."""

    name: Annotated[str, StringConstraints(max_length=NAME_LENGTH, pattern=PRINTABLE)] = ""
    project: ProjectName = Field(description="What is charged, `institution.project`.", examples=["hust.climate"])
    pool: Slug = Field(examples=["main"])
    request_class: Choice[RequestClass] = Field(default=RequestClass.INTERACTIVE, alias="class")
    environment: Slug = Field(default="default", description="The packages that its processes run with.")
    worker: ShapeIn
    booking: Annotated[str, StringConstraints(pattern=RANDOM_PATTERN)] | None = Field(
        default=None, description="It runs on the nodes and in the time of this booking of its project."
    )
    parallel_fraction: int | None = Field(
        default=None,
        ge=0,
        le=WHOLE_FRACTION,
        description="How much of its work, in thousandths, several workers can share: 1000 says that twice the workers "
        "need half the time, however many there are. What is usual if left out.",
    )
    head: ShapeIn | None = Field(
        default=None, description="The Dask scheduler's; what suits `workers.max` if left out."
    )
    workers: WorkerRangeIn
    walltime_seconds: int | None = Field(
        default=None,
        ge=SHORTEST_WALLTIME_SECONDS,
        le=LONGEST_WALLTIME_SECONDS,
        description="When it ends at the latest; what is usual for its class if left out.",
    )
    idle_seconds: int = Field(
        default=DEFAULT_IDLE_SECONDS,
        ge=SHORTEST_IDLE_SECONDS,
        le=LONGEST_IDLE_SECONDS,
        description="It ends after standing so long without clients and tasks.",
    )

    def asked(self, person: PersonId, request: RequestId, policy: Policy) -> Asked:
        """Return what a person asks for, as a request of that id once it is known where it belongs."""
        return Asked(
            project=ProjectId(self.project),
            pool=PoolId(self.pool),
            request_class=self.request_class,
            drafted=partial(self.to_draft, person, request, policy),
        )

    def to_draft(self, person: PersonId, request: RequestId, policy: Policy, tags: Tags) -> Draft:
        """Return the draft, with what was left out as it is usual."""
        usual_seconds = policy.classes[self.request_class].default_walltime_seconds
        return Draft(
            id=request,
            name=self.name,
            person=person,
            tags=tags,
            pool=PoolId(self.pool),
            request_class=self.request_class,
            environment=EnvironmentId(self.environment),
            head=self.head.to_resources() if self.head else default_head(self.workers.max),
            worker=self.worker.to_resources(),
            workers_min=self.workers.min,
            workers_max=self.workers.max,
            walltime_seconds=usual_seconds if self.walltime_seconds is None else self.walltime_seconds,
            idle_seconds=self.idle_seconds,
            booking=None if self.booking is None else BookingId(self.booking),
            parallel_fraction=self.parallel_fraction,
        )

    def replay(self, person: PersonId, key: str | None) -> ReplayKey | None:
        """Return a person's key with what was asked."""
        return replay_of(person, key, self, newer=("booking", "parallel_fraction"))


class HoldIn(Closed):
    """In whose name a request is held or released; by default the caller's own part in it decides."""

    holder: Choice[Holder] | None = Field(default=None, alias="as")


class ExtendIn(Closed):
    """For how much longer than until its deadline a cluster is to run."""

    walltime_seconds: int = Field(ge=1, le=LONGEST_WALLTIME_SECONDS, examples=[3600])


class RequestsQuery(PageQuery):
    """Which requests are listed."""

    state: State | None = None
    project: ProjectName | None = None
    mine: bool = Field(default=False, description="Only those that the caller submitted.")

    def to_filter(self, person: PersonId) -> RequestFilter:
        """Return what is asked for, by a person."""
        return RequestFilter(
            state=self.state,
            project=ProjectId(self.project) if self.project else None,
            person=person if self.mine else None,
        )


class WorkerRangeOut(Open):
    """How many workers are guaranteed, may be, and are wanted right now."""

    min: int
    max: int
    wanted: int


class TagsOut(Open):
    """What the request is counted under in every report; `unreported` where nobody has said it."""

    center: str
    institution: str
    project: str
    pool: str | None
    tier: str | None
    funding: str
    sector: str
    topic: str

    @classmethod
    def from_tags(cls, tags: Tags) -> "TagsOut":
        """Return the tags as they go out."""
        return cls.model_validate(tags, from_attributes=True)


class PreemptionOut(Open):
    """How a cluster had to make way: `cause` is `urgent`, or `owner` where institutions `by` own what it had borrowed.

    It was told, to end by `stop_by`; since `requeued` it waits again, as the first of its class and institution.
    """

    told: int
    stop_by: int
    cause: Cause
    by: list[str]
    requeued: int | None


class RequestOut(Open):
    """A request. `reasons` are the codes of why it waits, `phase` how far its cluster is, null unless it has one.

    `extended_seconds` is how much longer than its walltime it may run by now. Before `guaranteed_until` nobody but
    urgent work may have its cluster stopped. `preempted` is how it had to make way, the last time that it had to.
    `estimate` is when it was foreseen to start once it had to wait for nodes.
    """

    id: str
    name: str
    project: str
    institution: str
    person: str
    pool: str
    booking: str | None
    parallel_fraction: int | None
    request_class: RequestClass = Field(serialization_alias="class")
    environment: str
    worker: AmountsOut
    head: AmountsOut
    workers: WorkerRangeOut
    walltime_seconds: int
    extended_seconds: int
    idle_seconds: int
    state: State
    phase: Phase | None
    user_hold: bool
    operator_hold: bool
    reasons: list[str]
    estimate: StartOut | None
    submitted: int
    placed: int | None
    deadline: int | None
    guaranteed_until: int | None
    preempted: PreemptionOut | None
    ended: int | None
    ending: End | None
    end: End | None
    tags: TagsOut

    @classmethod
    def from_view(cls, view: RequestView) -> "RequestOut":
        """Return the request as it goes out."""
        return cls(**_shown(view))


class ProcessOut(Open):
    """One slot of a cluster, on its node; where it answers is told to the owner alone.

    `cpu_milliseconds` and `peak_memory` (bytes) are what was measured by the last charge; null where nobody measured.
    """

    name: str
    ordinal: int
    part: Part
    node: str
    ready: bool
    started: int | None
    released: int | None
    cpu_milliseconds: int | None
    peak_memory: int | None

    @classmethod
    def from_slot(cls, slot: Process) -> "ProcessOut":
        """Return the slot as it goes out."""
        return cls(
            name=slot.name,
            ordinal=slot.ordinal,
            part=slot.part,
            node=slot.node,
            ready=slot.ready and slot.released is None,
            started=slot.started,
            released=slot.released,
            cpu_milliseconds=slot.cpu_milliseconds,
            peak_memory=slot.peak_memory,
        )


class RequestDetailOut(RequestOut):
    """A request with every slot it ever had."""

    processes: list[ProcessOut]

    @classmethod
    def from_view(cls, view: RequestView) -> "RequestDetailOut":
        """Return the request and its slots as they go out."""
        return cls(**_shown(view), processes=[ProcessOut.from_slot(slot) for slot in view.slots])


def phase_of(view: RequestView) -> Phase | None:
    """Return how far the cluster of a request is, if it has one."""
    if view.request.state is not State.PLACED:
        return None
    return Cluster(request=view.request, processes=tuple(slot for slot in view.slots if slot.released is None)).phase


def _shown(view: RequestView) -> dict[str, Any]:
    """Return the fields of a request as it goes out: most are the request's own."""
    request = view.request
    made = {
        "worker": AmountsOut.from_resources(request.worker),
        "head": AmountsOut.from_resources(request.head),
        "workers": WorkerRangeOut(min=request.workers_min, max=request.workers_max, wanted=request.workers_wanted),
        "phase": phase_of(view),
        "tags": TagsOut.from_tags(request.tags),
        "preempted": PreemptionOut.model_validate(request.preempted, from_attributes=True)
        if request.preempted
        else None,
        "estimate": StartOut.from_estimate(request.estimate) if request.estimate else None,
    }
    own = {name: getattr(request, name) for name in RequestOut.model_fields if name not in made}
    return own | made
