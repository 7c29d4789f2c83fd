"""The journal: what happened to each request, appended and never changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from operations.events import Event, EventKind
from store.connections import Transaction
from store.marks import mark_column
from store.rows import values_of
from store.schema import METADATA, TEXT, Choice, Pairs, moment

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("request", TEXT, nullable=False),
    moment("at"),
    Column("kind", Choice(EventKind), nullable=False),
    Column("details", Pairs, nullable=False),
    mark_column(),
    Index("ix_events_request_mark_number", "request", "mark", "number"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class SqlJournal:
    """`Journal` in SQL."""

    transaction: Transaction

    def add(self, events: Iterable[Event]) -> None:
        told = list(events)
        if told:
            self.transaction.run(EVENTS.insert(), [values_of(event) for event in told])
            self.transaction.told.extend(told)
