"""Bookings: one row each, and one for each node, so that the database itself holds those of a node apart."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Table,
    case,
    func,
    select,
    tuple_,
    update,
)

from operations.ports.store import BookingFilter
from registry.ids import BookingId, Mark, NodeId, Seconds
from scheduler.bookings import Booking, BookingKind, until
from store.connections import Transaction
from store.marks import mark_column
from store.rows import changes, thing_of, values_of
from store.schema import METADATA, TEXT, Choice, Row, Words, moment
from store.standing import BOOKED_SECONDS_THAT_MATTER

BOOKINGS: Final = Table(
    "bookings",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("pool", ForeignKey("pools.id"), nullable=False),
    Column("nodes", Words, nullable=False),
    moment("begins"),
    moment("ends"),
    Column("project", ForeignKey("projects.id")),
    Column("kind", Choice(BookingKind), nullable=False),
    Column("made_by", TEXT, nullable=False),
    moment("made"),
    Column("displaces", Boolean, nullable=False),
    moment("released", nullable=True),
    Column("released_by", TEXT),
    Column("version", BigInteger, nullable=False),
    mark_column(),
    CheckConstraint("begins < ends", "period"),
    Index("ix_bookings_begins_id", "begins", "id"),
    Index("ix_bookings_ends", "ends"),
    Index("ix_bookings_made", "made"),
)

BOOKED_NODES: Final = Table(
    "booked_nodes",
    METADATA,
    Column("booking", ForeignKey("bookings.id"), primary_key=True),
    Column("node", ForeignKey("nodes.id"), primary_key=True, index=True),
    moment("begins"),
    moment("until"),
    CheckConstraint("begins <= until", "period"),
)
"""Which booking has which node, and when: no two have one at the same time, which migrations make the database keep."""


def _over_at() -> ColumnElement[int]:
    """The moment from which a booking holds nothing, as `until` computes it."""
    early = BOOKINGS.c.released < BOOKINGS.c.ends
    return case((early, BOOKINGS.c.released), else_=BOOKINGS.c.ends)


def live_bookings(transaction: Transaction) -> tuple[Booking, ...]:
    """Return the bookings without those that were long over when the last one was made, by id."""
    newest = select(func.max(BOOKINGS.c.made)).scalar_subquery()
    recent = BOOKINGS.c.ends > newest - BOOKED_SECONDS_THAT_MATTER
    alive = select(BOOKINGS).where(recent, _over_at() > newest - BOOKED_SECONDS_THAT_MATTER)
    return _bookings(transaction.rows(alive.order_by(BOOKINGS.c.id)))


def changed_bookings(transaction: Transaction, since: Mark) -> tuple[Booking, ...]:
    """Return the bookings that changed since a mark, also those that are over, by id."""
    changed = select(BOOKINGS).where(BOOKINGS.c.mark >= since).order_by(BOOKINGS.c.id)
    return _bookings(transaction.rows(changed))


@dataclass(frozen=True, slots=True)
class SqlBookings:
    """`Bookings` in SQL."""

    transaction: Transaction

    def add(self, booking: Booking) -> None:
        self.transaction.run(BOOKINGS.insert(), values_of(booking))
        period = {"booking": booking.id, "begins": booking.begins, "until": _held_until(booking)}
        self.transaction.run(BOOKED_NODES.insert(), [{"node": node, **period} for node in booking.nodes])

    def get(self, booking: BookingId) -> Booking | None:
        row = self.transaction.row(self.transaction.locked(select(BOOKINGS).where(BOOKINGS.c.id == booking)))
        return _booking(row) if row else None

    def swap(self, before: Booking, after: Booking) -> bool:
        key = (before.id, before.version, before.nodes, before.begins)
        assert key == (after.id, after.version, after.nodes, after.begins), (before, after)
        as_read = (BOOKINGS.c.id == before.id, BOOKINGS.c.version == before.version)
        new = {**changes(before, after), "version": before.version + 1}
        if not self.transaction.run(update(BOOKINGS).where(*as_read).values(new)):
            return False
        own = update(BOOKED_NODES).where(BOOKED_NODES.c.booking == after.id)
        self.transaction.run(own.values(until=_held_until(after)))
        return True

    def during(self, nodes: Collection[NodeId], begins: Seconds, ends: Seconds) -> tuple[Booking, ...]:
        # What was given back before it began has no moment between its begin and its end.
        period = (BOOKED_NODES.c.begins, BOOKED_NODES.c.until)
        held = (period[0] < period[1], period[0] < ends, period[1] > begins)
        there = select(BOOKED_NODES.c.booking).where(BOOKED_NODES.c.node.in_(sorted(nodes)), *held)
        found = select(BOOKINGS).where(BOOKINGS.c.id.in_(there)).order_by(BOOKINGS.c.begins, BOOKINGS.c.id)
        return _bookings(self.transaction.rows(found))

    def page(self, wanted: BookingFilter, *, after: str, limit: int) -> tuple[Booking, ...]:
        place = (BOOKINGS.c.begins, BOOKINGS.c.id)
        page = select(BOOKINGS).order_by(*place).limit(limit)
        if after:
            begins, _, booking = after.partition("/")
            page = page.where(tuple_(*place) > tuple_(int(begins), booking))
        if wanted.pool is not None:
            page = page.where(BOOKINGS.c.pool == wanted.pool)
        if wanted.since is not None:
            page = page.where(BOOKINGS.c.ends > wanted.since, _over_at() > wanted.since)
        return _bookings(self.transaction.rows(page))


def _held_until(booking: Booking) -> int:
    """Return when a booking leaves its nodes; a period that ends before it begins would be none."""
    return max(booking.begins, until(booking))


def _bookings(rows: Iterable[Row]) -> tuple[Booking, ...]:
    return tuple(_booking(row) for row in rows)


def _booking(row: Row) -> Booking:
    return thing_of(Booking, row)
