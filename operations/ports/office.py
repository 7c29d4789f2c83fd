"""The port to what administration and reading need beyond the loops: SQL stores offer it, the memory store does not.

Every method that reads takes a `Scope` and finds nothing outside it: an absent row and another institution's row are
the same answer. Lists are in the order of ids unless said otherwise, begin after the id `after` and end at `limit`.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from operations.events import Event
from operations.ports.store import Work
from quotas.allocations import Allocation
from quotas.ledger import AccountId, Entry, EntryKind, Usage
from quotas.rates import RateCard
from quotas.statements import Line, Period
from quotas.tree import Share
from registry.centers import Center, Environment, Node, Pool
from registry.ids import (
    BEGINNING,
    InstitutionId,
    Mark,
    MicroCredits,
    NodeId,
    PersonId,
    PoolId,
    ProjectId,
    RequestId,
    Seconds,
    ShareId,
    TokenId,
)
from registry.institutions import Institution, Project
from registry.people import Person, RoleGrant, Scope, Token
from scheduler.clusters import Process
from scheduler.estimates import Side
from scheduler.requests import Request, RequestClass, State


class Institutions(Protocol):
    """The members of the center."""

    def add(self, institution: Institution) -> bool:
        """Keep a new institution; False if the id is taken."""
        ...

    def get(self, scope: Scope, institution: InstitutionId) -> Institution | None:
        """Return an institution."""
        ...

    def page(self, scope: Scope, *, after: str, limit: int) -> tuple[Institution, ...]:
        """Return institutions."""
        ...


class Projects(Protocol):
    """Projects of the institutions."""

    def add(self, project: Project) -> bool:
        """Keep a new project; False if the id is taken."""
        ...

    def get(self, scope: Scope, project: ProjectId) -> Project | None:
        """Return a project."""
        ...

    def page(self, scope: Scope, *, after: str, limit: int) -> tuple[Project, ...]:
        """Return projects."""
        ...


class People(Protocol):
    """Who acts. A person is seen where a grant of theirs, past ones too, reaches into the scope."""

    def add(self, person: Person) -> None:
        """Keep a new person."""
        ...

    def update(self, person: Person) -> None:
        """Keep a person, in place of the one with that id."""
        ...

    def get(self, scope: Scope, person: PersonId) -> Person | None:
        """Return a person, locked against others where the transaction may write, and their rights with them."""
        ...

    def page(self, scope: Scope, *, after: str, limit: int) -> tuple[Person, ...]:
        """Return people."""
        ...


class Grants(Protocol):
    """The roles of people."""

    def put(self, grant: RoleGrant) -> None:
        """Keep a grant in place of one with the same person, role and reach."""
        ...

    def of(self, person: PersonId) -> tuple[RoleGrant, ...]:
        """Return every grant a person ever had."""
        ...


class Tokens(Protocol):
    """Tokens by the SHA-256 digest of their secret."""

    def add(self, token: Token, digest: bytes) -> None:
        """Keep a new token."""
        ...

    def by_digest(self, digest: bytes) -> Token | None:
        """Return the token with that digest, good or not."""
        ...

    def of(self, person: PersonId) -> tuple[Token, ...]:
        """Return a person's tokens."""
        ...

    def revoke(self, person: PersonId, token: TokenId, now: Seconds) -> bool:
        """Revoke a person's token; False if the person has none by that id."""
        ...

    def any_exist(self) -> bool:
        """Tell whether any token was ever made: a center without one is at its first start."""
        ...


class Facilities(Protocol):
    """Centers, pools and environments."""

    def put_center(self, center: Center) -> bool:
        """Keep a center, in place of the one with its id; tell whether it is new."""
        ...

    def center(self) -> Center | None:
        """Return the center, if it has been named yet."""
        ...

    def put_pool(self, pool: Pool) -> bool:
        """Keep a pool, in place of the one with its id; tell whether it is new."""
        ...

    def pools(self) -> tuple[Pool, ...]:
        """Return all pools."""
        ...

    def put_environment(self, environment: Environment) -> None:
        """Keep an environment, in place of the one with its id."""
        ...


class Nodes(Protocol):
    """Nodes; who edits one has locked its pool."""

    def get(self, node: NodeId) -> Node | None:
        """Return a node."""
        ...

    def put(self, node: Node) -> None:
        """Keep a node's pool, capacity and state; what is granted of it stays as it is."""
        ...

    def page(self, *, pool: PoolId | None, after: str, limit: int) -> tuple[Node, ...]:
        """Return nodes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareVersion:
    """A share as it is seen, with the number of its last change for whoever wants to edit just this."""

    share: Share
    version: int


class Shares(Protocol):
    """The quota tree as it is edited; who edits it has locked the pool."""

    def get(self, scope: Scope, share: ShareId, pool: PoolId) -> ShareVersion | None:
        """Return a share; the center's is seen by everybody."""
        ...

    def put(self, share: Share) -> None:
        """Keep a share's parent and quota; what is granted stays, the ceiling becomes max(limit, granted)."""
        ...

    def children(self, parent: ShareId, pool: PoolId) -> tuple[Share, ...]:
        """Return the shares directly beneath one."""
        ...

    def page(self, scope: Scope, *, pool: PoolId | None, after: str, limit: int) -> tuple[ShareVersion, ...]:
        """Return shares by `pool/share`, which is also what `after` names."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """A request with every slot it ever had."""

    request: Request
    slots: tuple[Process, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """Which requests a list shows; None does not filter."""

    state: State | None = None
    project: ProjectId | None = None
    person: PersonId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where somebody has read to by (mark, number): below the horizon nothing new appears before it."""

    mark: Mark
    number: int


BEFORE_ALL: Final = Place(mark=BEGINNING, number=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event at its place in the journal."""

    mark: Mark
    number: int
    event: Event


class RequestViews(Protocol):
    """Requests as people see them."""

    def get(self, scope: Scope, request: RequestId) -> RequestView | None:
        """Return a request."""
        ...

    def page(self, scope: Scope, wanted: RequestFilter, *, after: str, limit: int) -> tuple[RequestView, ...]:
        """Return requests, newest first by (submitted, id); `after` is `submitted/id` of the last one seen."""
        ...

    def events(self, scope: Scope, request: RequestId, *, since: Mark, limit: int) -> tuple[Told, ...]:
        """Return a request's events with `since <= mark < horizon()`, by (mark, number)."""
        ...

    def horizon(self) -> Mark:
        """Return the mark below which nothing can appear any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """An entry at its place in the ledger."""

    mark: Mark
    number: int
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySum:
    """Entries of one kind summed for one institution, project and pool.

    `absorbed` is the part of `amount` that the center paid itself.
    """

    institution: InstitutionId
    project: ProjectId
    pool: PoolId | None
    kind: EntryKind
    entries: int
    amount: MicroCredits
    absorbed: MicroCredits
    usage: Usage


class Books(Protocol):
    """The ledger and the allocations as people and exporters read them."""

    def entries(self, scope: Scope, *, project: ProjectId | None, after: Place, limit: int) -> tuple[Posted, ...]:
        """Return entries below the horizon that come after a place, by (mark, number)."""
        ...

    def sums(self, scope: Scope, *, since: Mark, until: Mark | None) -> tuple[EntrySum, ...]:
        """Return sums of the entries with `since <= mark < until`, without an end if `until` is None."""
        ...

    def allocations(self, scope: Scope, *, project: ProjectId | None, after: str, limit: int) -> tuple[Allocation, ...]:
        """Return allocations with their balances."""
        ...

    def balances(self) -> tuple[tuple[AccountId, MicroCredits], ...]:
        """Return every account's stored balance; they sum to zero."""
        ...

    def put_rate_card(self, card: RateCard) -> bool:
        """Keep a new rate card; False if one begins at the same moment."""
        ...


class Bills(Protocol):
    """What projects are billed."""

    def lines(self, scope: Scope, project: ProjectId, period: Period) -> tuple[Line, ...]:
        """Return a project's entries of a period, summed by kind and pool."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitCount:
    """How many requests of an institution were placed after a wait of at most `up_to` seconds (None: longer)."""

    institution: InstitutionId
    pool: PoolId
    request_class: RequestClass
    up_to: int | None
    placed: int
    waited_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HitCount:
    """How many starts in a pool lay on which sides of their two intervals: those that hold in 50 and in 90 of 100."""

    pool: PoolId
    half_side: Side
    most_side: Side
    placed: int


class Waits(Protocol):
    """How long placed requests had waited, and what had been said of that."""

    def counts(self, bounds: tuple[int, ...], *, since: Mark, until: Mark | None) -> tuple[WaitCount, ...]:
        """Return the placements journaled at `since <= mark < until`, each in the first bound that holds its wait."""
        ...

    def hits(self, *, since: Mark, until: Mark | None) -> tuple[HitCount, ...]:
        """Return what the estimates came to of the requests that were placed at `since <= mark < until`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Office(Work):
    """Everything that may be touched inside one transaction of a SQL store."""

    institutions: Institutions
    projects: Projects
    people: People
    grants: Grants
    tokens: Tokens
    facilities: Facilities
    nodes: Nodes
    shares: Shares
    request_views: RequestViews
    books: Books
    bills: Bills
    waits: Waits
