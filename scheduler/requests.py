"""What somebody asks for, the classes they may ask in, and the states a request moves through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final

from registry.ids import (
    AllocationId,
    BookingId,
    EnvironmentId,
    InstitutionId,
    NodeId,
    PersonId,
    PoolId,
    ProjectId,
    RequestId,
    Seconds,
)
from registry.resources import GIB, MIB, Resources
from registry.tags import UNREPORTED, FundingSource, Tags
from scheduler.estimates import Estimate
from scheduler.troubles import Trouble

NAME_LENGTH: Final = 100
MOST_WORKERS: Final = 900
"""Ordinals and incarnations have four digits each in a process's name, and elastic workers come and go."""
SHORTEST_WALLTIME_SECONDS: Final = 10
LONGEST_WALLTIME_SECONDS: Final = 30 * 24 * 3600
DEFAULT_IDLE_SECONDS: Final = 1800
SHORTEST_IDLE_SECONDS: Final = 10
LONGEST_IDLE_SECONDS: Final = 7 * 24 * 3600
SMALLEST_PROCESS: Final = Resources(millicores=1, memory=16 * MIB)
"""Less than this no Python process starts in: a smaller number is a mistake of units."""


class RequestClass(StrEnum):
    """How urgent the work is, which also decides its price and its limits."""

    URGENT = "urgent"
    INTERACTIVE = "interactive"
    NORMAL = "normal"
    COURSE = "course"
    SCAVENGER = "scavenger"


class State(StrEnum):
    """The stored state of a request; whether it is starting, running or ending is read from its processes."""

    PENDING = "pending"
    PLACED = "placed"
    ENDED = "ended"


class End(StrEnum):
    """Why a request ended, or why its cluster is about to.

    One that is turned back waits again afterwards; so does one that is preempted, unless it is interactive.
    """

    CANCELLED = "cancelled"
    WALLTIME = "walltime"
    IDLE = "idle"
    HEAD_LOST = "head_lost"
    NEVER_STARTED = "never_started"
    DISPLACED = "displaced"
    TURNED_BACK = "turned_back"
    PREEMPTED = "preempted"


class Cause(StrEnum):
    """For whom a cluster has to make way, or a promise is broken: who has the stronger claim to what it holds."""

    URGENT = "urgent"
    OWNER = "owner"


LEGAL_MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.PLACED, State.ENDED}),
    State.PLACED: frozenset({State.PENDING, State.ENDED}),
    State.ENDED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody asks: a Dask scheduler and `workers_min` to `workers_max` workers of one shape for a walltime.

    `idle_seconds` is how long the cluster may stand without clients and tasks before it ends. What names a `booking`
    runs on the nodes and in the time of that booking, or not at all. `parallel_fraction` is how much of its work, in
    thousandths, several workers can share: 1000 says that twice the workers need half the time, however many there
    are; where nothing is said, the policy's own guess holds.
    """

    id: RequestId
    name: str
    person: PersonId
    tags: Tags
    pool: PoolId
    request_class: RequestClass
    environment: EnvironmentId
    head: Resources
    worker: Resources
    workers_min: int
    workers_max: int
    walltime_seconds: int
    idle_seconds: int
    booking: BookingId | None = None
    parallel_fraction: int | None = None

    @property
    def project(self) -> ProjectId:
        """Return the project that is charged."""
        return self.tags.project

    @property
    def institution(self) -> InstitutionId:
        """Return the institution whose quota it occupies."""
        return self.tags.institution

    def gang(self) -> tuple[Resources, ...]:
        """Return the shapes that are placed together or not at all: the head, then the guaranteed workers."""
        return (self.head,) + (self.worker,) * self.workers_min

    def gang_total(self) -> Resources:
        """Return what the gang takes altogether."""
        return self.head + self.worker * self.workers_min

    def accepted(self, now: Seconds) -> Request:
        """Return the draft as a pending request."""
        asked = {field.name: getattr(self, field.name) for field in fields(Draft)}
        return Request(**asked, submitted=now, workers_wanted=self.workers_min, next_ordinal=self.workers_min + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The protected start of a request that nodes alone stop: when at the latest, and on which nodes.

    Until it comes it may be had on other nodes, for somebody whom nodes alone keep from an earlier start.
    `workers` are counts by node. `given` is when the request was first promised anything: earlier promises come first.
    A latest start has an `aim`, the moment by which it was to come if it could: its request may start earlier whenever
    it is its turn. Without one it is the start of who is next in line, as early as there is room.
    """

    given: Seconds
    starts: Seconds
    head: NodeId
    workers: tuple[tuple[NodeId, int], ...]
    aim: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption:
    """That a cluster has to make way for a stronger claim of institutions `by`: told when, to end by when, and why.

    `requeued` is when its request began to wait again, which it does as the first of its class in its institution.
    """

    told: Seconds
    stop_by: Seconds
    cause: Cause
    by: tuple[InstitutionId, ...]
    requeued: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Draft):
    """A draft that was accepted, with everything that has been decided about it since.

    `ending` is set when its cluster is to end, `end` when it has ended. `reasons` are the codes of its last Wait,
    `promise` is its protected start while it waits. When it began to wait it was found for how long those that came
    later may go before it (`overtaking_seconds`) and what to say of its start (`estimate`).
    `next_ordinal` numbers the next worker that it gets beyond its gang. `held_since` is when it was held, if it is,
    and `held_seconds` how long it was before.
    Its last start that failed did so by a `trouble`, and it is started no more `not_before` a time that `failed_starts`
    put off. `first_incarnation` is that of the slots of its next gang: names are never used twice.
    What it had until `spared_since` of workers beyond its smallest size has spared it `spared_milliseconds` of its
    walltime, as far as its work can be shared.
    `extended_seconds` is how much longer than its walltime it may run by now, which `deadline` contains.
    `guaranteed_until` is how long nobody but urgent work may stop its cluster: to the end, unless it has borrowed.
    `preempted` is how it had to make way the last time that it had to.
    `version` counts its changes: a change is written only over the version that it was made from.
    """

    submitted: Seconds
    workers_wanted: int
    next_ordinal: int
    version: int = 1
    state: State = State.PENDING
    user_hold: bool = False
    operator_hold: bool = False
    held_since: Seconds | None = None
    held_seconds: int = 0
    reasons: tuple[str, ...] = ()
    promise: Promise | None = None
    overtaking_seconds: int | None = None
    estimate: Estimate | None = None
    trouble: Trouble | None = None
    not_before: Seconds | None = None
    failed_starts: int = 0
    first_incarnation: int = 1
    spared_milliseconds: int = 0
    spared_since: Seconds | None = None
    placed: Seconds | None = None
    deadline: Seconds | None = None
    extended_seconds: int = 0
    allocation: AllocationId | None = None
    guaranteed_until: Seconds | None = None
    preempted: Preemption | None = None
    ending: End | None = None
    end: End | None = None
    ended: Seconds | None = None

    def __post_init__(self) -> None:
        """Hold our own code to states that agree with their dates."""
        assert (self.placed is None) == (self.deadline is None) == (self.allocation is None), self
        assert (self.state is State.ENDED) == (self.end is not None) == (self.ended is not None), self
        assert self.state is not State.PLACED or self.placed is not None, self

    @property
    def makes_way(self) -> bool:
        """Tell whether its cluster was told to end for a stronger claim."""
        return self.preempted is not None and self.preempted.requeued is None

    @property
    def is_requeued(self) -> bool:
        """Tell whether it waits again because its cluster had to make way."""
        return self.state is State.PENDING and self.preempted is not None

    def waited_seconds(self, now: Seconds) -> int:
        """Return how long the request has been waiting for its turn: who holds it does not wait."""
        until = now if self.placed is None else self.placed
        held = self.held_seconds + (max(0, until - self.held_since) if self.held_since is not None else 0)
        return max(0, until - self.submitted - held)

    @property
    def only_waited(self) -> bool:
        """Tell whether nobody ever held the request and no start of it failed."""
        return not (self.held_seconds or self.held_since or self.failed_starts)

    def waiting_for(
        self, codes: tuple[str, ...], overtaking_seconds: int | None, estimate: Estimate | None = None
    ) -> Request:
        """Return the request with what stops it now; for how long it may be overtaken stays as it was found first."""
        known = overtaking_seconds if self.overtaking_seconds is None else self.overtaking_seconds
        return replace(self, reasons=codes, overtaking_seconds=known, estimate=estimate)

    def with_holds(self, *, user: bool, operator: bool, now: Seconds) -> Request:
        """Return the request held by whom it is held from now on, its time of waiting counted up to now."""
        after = replace(self, user_hold=user, operator_hold=operator)
        if (user or operator) == (self.held_since is not None):
            return after
        if self.held_since is None:
            return replace(after, held_since=now)
        return replace(after, held_since=None, held_seconds=self.held_seconds + max(0, now - self.held_since))

    def put_off(self, trouble: Trouble, until: Seconds) -> Request:
        """Return the request after a start that failed: it is given nothing more before a time."""
        return replace(self, trouble=trouble, not_before=until, failed_starts=self.failed_starts + 1)

    def made_to_end(self, preemption: Preemption) -> Request:
        """Return the placed request once it was told to make way: its time is up earlier."""
        assert self.deadline is not None, self
        return replace(self, preempted=preemption, deadline=min(self.deadline, preemption.stop_by))

    def requeued(self, first_incarnation: int, now: Seconds) -> Request:
        """Return the request that has made way as one that waits again, since it was submitted."""
        assert self.preempted is not None, self
        return replace(self.turned_back(first_incarnation), preempted=replace(self.preempted, requeued=now))

    def turned_back(self, first_incarnation: int) -> Request:
        """Return the placed request as one that waits again, as if it had never been placed."""
        return replace(
            self,
            state=State.PENDING,
            tags=replace(self.tags, funding=FundingSource(UNREPORTED)),
            first_incarnation=first_incarnation,
            estimate=None,
            spared_milliseconds=0,
            spared_since=None,
            placed=None,
            deadline=None,
            extended_seconds=0,
            allocation=None,
            guaranteed_until=None,
            ending=None,
        )

    def may_move(self, to: State) -> bool:
        """Tell whether the table of legal moves lets the request become `to`."""
        return to in LEGAL_MOVES[self.state]


def default_head(workers_max: int) -> Resources:
    """Return what the Dask scheduler of a cluster gets unless its owner says otherwise: it grows with the workers."""
    return Resources(millicores=500 + 5 * workers_max, memory=GIB + 4 * MIB * workers_max)
