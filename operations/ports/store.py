"""The port to what is remembered: transactions, and the parts of the work that loops and intake do in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from operations.events import Event
from operations.ports.backend import Credentials
from quotas.allocations import Allocation, Award
from quotas.claims import Level
from quotas.ledger import Entry
from quotas.rates import RateCard
from quotas.reasons import NoCredit, NoShare, ShareFull
from registry.centers import Environment, Node, Pool
from registry.ids import (
    AllocationId,
    BookingId,
    EnvironmentId,
    InstitutionId,
    Mark,
    NodeId,
    PersonId,
    PoolId,
    ProcessUid,
    ProjectId,
    RequestId,
    Seconds,
)
from registry.institutions import Project
from registry.resources import Resources
from scheduler.bookings import Booking
from scheduler.clusters import Cluster, Process
from scheduler.estimates import Estimate
from scheduler.facts import DayOfUse, Fact
from scheduler.requests import Draft, Request

P = ParamSpec("P")
R = TypeVar("R")
W = TypeVar("W", bound="Work")
W_co = TypeVar("W_co", bound="Work", covariant=True)

Listener = Callable[[Sequence[Event]], None]
"""Hears of a commit by the events it told, none if it told none; must not raise."""


class SealedOtherwiseError(Exception):
    """Credentials in the store were sealed with another key than the one the store was given."""


class StoreUnavailableError(Exception):
    """The store did not answer, or others were always in the way: what was asked may or may not be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many requests of one class wait: those of a person, for whatever institution, and those of an institution."""

    of_person: int
    of_institution: int


class Requests(Protocol):
    """Requests as they stand. What `get` and `lock` return stays as it is until the transaction ends."""

    def add(self, request: Request) -> None:
        """Keep a new request."""
        ...

    def get(self, request: RequestId) -> Request | None:
        """Return a request as it stands, locked against others where the transaction may write."""
        ...

    def lock(self, requests: Iterable[RequestId]) -> None:
        """Lock several requests in the order of their ids: first thing in a transaction that changes many."""
        ...

    def swap(self, before: Request, after: Request) -> bool:
        """Write `after` unless the request has changed since `before` was read; tell whether it was written."""
        ...

    def waiting(self, draft: Draft) -> Waiting:
        """Return how many requests of a draft's class wait already, of its person and of its institution."""
        ...


class Clusters(Protocol):
    """The slots of placed requests."""

    def add(self, processes: Iterable[Process]) -> None:
        """Keep new slots; a released one of the same ordinal, of a request that was turned back, gives way."""
        ...

    def slots(self, request: RequestId) -> tuple[Process, ...]:
        """Return all slots a request ever had, by ordinal, locked against others where the transaction may write."""
        ...

    def live(self) -> tuple[Cluster, ...]:
        """Return every placed request with its slots that are not released, by request id."""
        ...

    def extended(self, pools: Collection[PoolId]) -> tuple[Request, ...]:
        """Return the placed requests of pools that may run for longer than their walltimes, by id."""
        ...

    def swap(self, before: Process, after: Process) -> bool:
        """Write `after` unless the slot has changed since `before` was read; tell whether it was written."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Capacity that a project takes in a pool or gives back: on each node, and their sum on each of its shares."""

    project: ProjectId
    pool: PoolId
    nodes: tuple[tuple[NodeId, Resources], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFull:
    """A node has less left than a plan counted on, or takes no new work any more."""

    node: NodeId


class Capacity(Protocol):
    """Shares and nodes alike: what is granted of them."""

    def nodes(self, pool: PoolId) -> tuple[Node, ...]:
        """Return a pool's nodes by id."""
        ...

    def path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        """Return the shares from the center down to the project; empty if the project has none in the pool."""
        ...

    def lock(self, pools: Iterable[PoolId]) -> None:
        """Lock the center's share of each pool, in the order of their ids: after requests, before all else."""
        ...

    def take(self, claim: Claim) -> ShareFull | NoShare | NodeFull | None:
        """Grant the claim on every ancestor and node, or return what stood in the way.

        The caller undoes what was taken on the way by leaving the `trial` it is in.
        """
        ...

    def give_back(self, claim: Claim) -> None:
        """Return a granted claim to every ancestor and node."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingFilter:
    """Which bookings a list shows; None does not filter. `since` leaves out those that are over at that moment."""

    pool: PoolId | None = None
    since: Seconds | None = None


class Bookings(Protocol):
    """Nodes booked in advance; who books some has locked their pool."""

    def add(self, booking: Booking) -> None:
        """Keep a new booking.

        A database raises for one whose nodes others have at the same time: who looked before, with the pool locked,
        does not meet that.
        """
        ...

    def get(self, booking: BookingId) -> Booking | None:
        """Return a booking, locked against others where the transaction may write."""
        ...

    def swap(self, before: Booking, after: Booking) -> bool:
        """Write `after` unless the booking has changed since `before` was read; tell whether it was written."""
        ...

    def during(self, nodes: Collection[NodeId], begins: Seconds, ends: Seconds) -> tuple[Booking, ...]:
        """Return the bookings that hold any of the nodes at any moment of a period, by (begins, id)."""
        ...

    def page(self, wanted: BookingFilter, *, after: str, limit: int) -> tuple[Booking, ...]:
        """Return bookings by (begins, id); `after` is `begins/id` of the last one seen."""
        ...


class Accounts(Protocol):
    """Allocations, the ledger's entries and the balances that are their fold."""

    def open(self, award: Award) -> None:
        """Keep a new allocation with empty accounts; its credits come by an entry."""
        ...

    def get(self, allocation: AllocationId) -> Allocation:
        """Return an allocation with its balances."""
        ...

    def hold(self, entry: Entry) -> NoCredit | None:
        """Set credit aside if the account covers it, or return what is missing."""
        ...

    def post(self, entries: Sequence[Entry]) -> bool:
        """Post entries that are due whatever the balance; False, and nothing changed, if they were there already."""
        ...

    def use(self, days: Iterable[DayOfUse]) -> None:
        """Add use to the days of shares, for fair share."""
        ...


class Runs(Protocol):
    """How much of what they had asked for people's clusters ran."""

    def add(self, person: PersonId, permille: int) -> None:
        """Keep that the person's latest cluster ran for so many thousandths of its walltime, and the one before it."""
        ...


class Outcomes(Protocol):
    """What estimates of starts came to."""

    def add(self, pool: PoolId, estimate: Estimate, placed: Seconds) -> None:
        """Keep when a request was placed that an estimate was issued for; whoever adds has locked the pool."""
        ...


class Keys(Protocol):
    """Idempotency keys, each kept in the transaction of its effect."""

    def used(self, person: PersonId, key: str) -> UsedKey | None:
        """Return what a person used a key for."""
        ...

    def keep(self, person: PersonId, key: str, use: UsedKey, *, now: Seconds) -> None:
        """Remember what a key was used for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedKey:
    """What an idempotency key stands for: the fingerprint of what was asked, and the id of what it made or changed."""

    fingerprint: str
    made: str


class Vault(Protocol):
    """The credentials of clusters, sealed where they rest."""

    def keep(self, request: RequestId, credentials: Credentials) -> None:
        """Keep a cluster's credentials unless it has some: the first stay."""
        ...

    def get(self, request: RequestId) -> Credentials | None:
        """Return a cluster's credentials.

        Raises:
            SealedOtherwiseError: they were sealed with another key.
        """
        ...

    def destroy(self, request: RequestId) -> None:
        """Forget the credentials of a cluster that has ended."""
        ...


class Register(Protocol):
    """What exists, as far as intake and loops must know it."""

    def project(self, project: ProjectId) -> Project | None:
        """Return a project."""
        ...

    def pool(self, pool: PoolId) -> Pool | None:
        """Return a pool."""
        ...

    def environment(self, environment: EnvironmentId) -> Environment | None:
        """Return an environment."""
        ...

    def rate_cards(self) -> tuple[RateCard, ...]:
        """Return every rate card, the past and the future ones too."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLog:
    """The end of what a process printed, without the text; `at` is when the process ended."""

    uid: ProcessUid
    request: RequestId
    institution: InstitutionId
    process: str
    at: Seconds
    characters: int


class Logs(Protocol):
    """What processes printed last."""

    def keep(self, log: KeptLog, text: str) -> None:
        """Keep a log, unless there is one of that uid already."""
        ...

    def of(self, request: RequestId) -> tuple[KeptLog, ...]:
        """Return the logs of a request, the newest first, then by process."""
        ...

    def text(self, uid: ProcessUid) -> str | None:
        """Return what a process printed last."""
        ...

    def drop(self, *, before: Seconds) -> None:
        """Drop everything older."""
        ...

    def thin(self, institution: InstitutionId, *, newest: int) -> None:
        """Drop all logs of an institution but so many of the newest."""
        ...


class Journal(Protocol):
    """What happened to each request, in the order of marks."""

    def add(self, events: Iterable[Event]) -> None:
        """Append events."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that changed since a mark, each with its current value; read on from `mark`."""

    mark: Mark
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What loops and intake may touch inside one transaction."""

    requests: Requests
    clusters: Clusters
    capacity: Capacity
    bookings: Bookings
    accounts: Accounts
    runs: Runs
    outcomes: Outcomes
    keys: Keys
    vault: Vault
    register: Register
    journal: Journal
    logs: Logs
    trial: Callable[[], AbstractContextManager[None]]
    """A savepoint: what is done inside is undone if an exception leaves it."""
    news: Callable[[Mark], Facts]
    """What changed since a mark as the transaction sees it: `Store.facts`, for who holds the locks to rely on it."""


class Store(Protocol[W_co]):
    """The only door to what is remembered."""

    def transact(self, operation: Callable[Concatenate[W_co, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run an operation in one transaction, again from its start on a conflict; wake the loops once it committed.

        It commits when the operation returns, also when it returns a refusal, and leaves nothing behind if it raises.
        """
        ...

    def read(self, query: Callable[Concatenate[W_co, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query on one consistent state, unable to write; wakes nobody."""
        ...

    def facts(self, since: Mark) -> Facts:
        """Return what changed since a mark. Ended things are returned once more, as ended; some things twice."""
        ...

    def subscribe(self, hear: Listener) -> None:
        """Call `hear` after each commit that wrote: a hint, another process's commits may come without it."""
        ...
