"""Requests: their table, their rows, and the one way they change."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Table,
    Text,
    TypeDecorator,
    and_,
    bindparam,
    func,
    select,
    update,
)

from operations.ports.store import Waiting
from registry.ids import InstitutionId, Mark, NodeId, PoolId, RequestId
from scheduler.requests import Cause, Draft, End, Preemption, Promise, Request, RequestClass, State
from scheduler.troubles import Trouble
from store.connections import Transaction
from store.marks import mark_column
from store.outcomes import Estimated
from store.rows import changes, thing_of, values_of
from store.schema import METADATA, TEXT, Choice, Vector, Words, moment, tag_columns


class Promised(TypeDecorator[Promise]):
    """A protected start as JSON, which SQL never asks about."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Promise | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(asdict(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Promise | None:  # noqa: ARG002
        if value is None:
            return None
        said = json.loads(value)
        return Promise(**{**said, "workers": tuple((NodeId(node), count) for node, count in said["workers"])})


class Preempted(TypeDecorator[Preemption]):
    """How a cluster had to make way, as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Preemption | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(asdict(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Preemption | None:  # noqa: ARG002
        if value is None:
            return None
        said = json.loads(value)
        return Preemption(**{**said, "cause": Cause(said["cause"]), "by": tuple(map(InstitutionId, said["by"]))})


REQUESTS: Final = Table(
    "requests",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("person", TEXT, nullable=False, index=True),
    *tag_columns(),
    Column("request_class", Choice(RequestClass), nullable=False),
    Column("environment", TEXT, nullable=False),
    Column("head", Vector, nullable=False),
    Column("worker", Vector, nullable=False),
    Column("workers_min", BigInteger, nullable=False),
    Column("workers_max", BigInteger, nullable=False),
    Column("walltime_seconds", BigInteger, nullable=False),
    Column("idle_seconds", BigInteger, nullable=False),
    Column("booking", TEXT),
    Column("parallel_fraction", BigInteger),
    moment("submitted"),
    Column("workers_wanted", BigInteger, nullable=False),
    Column("next_ordinal", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("state", Choice(State), nullable=False),
    Column("user_hold", Boolean, nullable=False),
    Column("operator_hold", Boolean, nullable=False),
    moment("held_since", nullable=True),
    Column("held_seconds", BigInteger, nullable=False),
    Column("reasons", Words, nullable=False),
    Column("promise", Promised),
    Column("overtaking_seconds", BigInteger),
    Column("estimate", Estimated),
    Column("trouble", Choice(Trouble)),
    moment("not_before", nullable=True),
    Column("failed_starts", BigInteger, nullable=False),
    Column("first_incarnation", BigInteger, nullable=False),
    Column("spared_milliseconds", BigInteger, nullable=False),
    moment("spared_since", nullable=True),
    moment("placed", nullable=True),
    moment("deadline", nullable=True),
    Column("extended_seconds", BigInteger, nullable=False),
    Column("allocation", TEXT),
    moment("guaranteed_until", nullable=True),
    Column("preempted", Preempted),
    Column("ending", Choice(End)),
    Column("end", Choice(End)),
    moment("ended", nullable=True),
    mark_column(),
    Index("ix_requests_submitted_id", "submitted", "id"),
    Index("ix_requests_institution_submitted", "institution", "submitted", "id"),
)
# What ended years ago must not slow down what is alive.
_ALIVE: Final = REQUESTS.c.state != State.ENDED
Index("ix_requests_alive", REQUESTS.c.state, sqlite_where=_ALIVE, postgresql_where=_ALIVE)

_EXTENDED: Final = and_(REQUESTS.c.state == State.PLACED, REQUESTS.c.extended_seconds > 0)
Index("ix_requests_extended", REQUESTS.c.pool, sqlite_where=_EXTENDED, postgresql_where=_EXTENDED)

_WAITING: Final = REQUESTS.c.state == State.PENDING
Index(
    "ix_requests_waiting", REQUESTS.c.person, REQUESTS.c.request_class, sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)  # fmt: skip

Index(
    "ix_requests_waiting_of_institution", REQUESTS.c.institution, REQUESTS.c.request_class, sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)  # fmt: skip

_OF_CLASS: Final = select(func.count()).where(_WAITING, REQUESTS.c.request_class == bindparam("of_class"))
_WAITS: Final = select(
    _OF_CLASS.where(REQUESTS.c.person == bindparam("of_person")).scalar_subquery(),
    _OF_CLASS.where(REQUESTS.c.institution == bindparam("of_institution")).scalar_subquery(),
)

_GET: Final = select(REQUESTS).where(REQUESTS.c.id == bindparam("key"))


def live_requests(transaction: Transaction) -> tuple[Request, ...]:
    """Return the requests that have not ended, by id."""
    alive = select(REQUESTS).where(_ALIVE).order_by(REQUESTS.c.id)
    return tuple(thing_of(Request, row) for row in transaction.rows(alive))


def placed_requests(transaction: Transaction) -> tuple[Request, ...]:
    """Return the requests that are placed, by id."""
    placed = select(REQUESTS).where(_ALIVE, REQUESTS.c.state == State.PLACED).order_by(REQUESTS.c.id)
    return tuple(thing_of(Request, row) for row in transaction.rows(placed))


def extended_requests(transaction: Transaction, pools: Collection[PoolId]) -> tuple[Request, ...]:
    """Return the placed requests of pools that may run for longer than their walltimes, by id."""
    extended = select(REQUESTS).where(_EXTENDED, REQUESTS.c.pool.in_(sorted(pools))).order_by(REQUESTS.c.id)
    return tuple(thing_of(Request, row) for row in transaction.rows(extended))


def changed_requests(transaction: Transaction, since: Mark) -> tuple[Request, ...]:
    """Return the requests that changed since a mark, ended ones too, by id."""
    changed = select(REQUESTS).where(REQUESTS.c.mark >= since).order_by(REQUESTS.c.id)
    return tuple(thing_of(Request, row) for row in transaction.rows(changed))


@dataclass(frozen=True, slots=True)
class SqlRequests:
    """`Requests` in SQL."""

    transaction: Transaction

    def add(self, request: Request) -> None:
        assert request.tags.pool == request.pool, request
        self.transaction.run(REQUESTS.insert(), values_of(request))

    def get(self, request: RequestId) -> Request | None:
        row = self.transaction.row(self.transaction.locked(_GET), {"key": request})
        return thing_of(Request, row) if row else None

    def lock(self, requests: Iterable[RequestId]) -> None:
        if not self.transaction.on_sqlite:
            wanted = select(REQUESTS.c.id).where(REQUESTS.c.id.in_(sorted(requests))).order_by(REQUESTS.c.id)
            self.transaction.rows(self.transaction.locked(wanted))

    def swap(self, before: Request, after: Request) -> bool:
        assert (before.id, before.version) == (after.id, after.version), (before, after)
        assert before.state is after.state or before.may_move(after.state), (before, after)
        as_read = (REQUESTS.c.id == before.id, REQUESTS.c.version == before.version)
        new = {**changes(before, after), "version": before.version + 1}
        return self.transaction.run(update(REQUESTS).where(*as_read).values(new)) == 1

    def waiting(self, draft: Draft) -> Waiting:
        asked = {"of_person": draft.person, "of_institution": draft.institution, "of_class": draft.request_class}
        of_person, of_institution = self.transaction.connection.execute(_WAITS, asked).one()
        return Waiting(of_person=of_person, of_institution=of_institution)
