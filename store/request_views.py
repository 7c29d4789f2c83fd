"""Requests as people see them: filtered, in pages, with their slots and events."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Final

from sqlalchemy import ColumnElement, select, tuple_

from operations.events import Event
from operations.ports.office import RequestFilter, RequestView, Told
from registry.ids import Mark, RequestId
from registry.people import Scope
from scheduler.clusters import Process
from scheduler.requests import Request
from store.clusters import PROCESSES
from store.connections import Transaction
from store.journal import EVENTS
from store.marks import NextMark
from store.requests import REQUESTS
from store.rows import thing_of
from store.schema import Row
from store.scopes import within

_FILTERS: Final = tuple(field.name for field in fields(RequestFilter))


@dataclass(frozen=True, slots=True)
class SqlRequestViews:
    """`RequestViews` in SQL."""

    transaction: Transaction

    def get(self, scope: Scope, request: RequestId) -> RequestView | None:
        seen = within(scope, REQUESTS.c.institution)
        found = self.transaction.rows(select(REQUESTS).where(REQUESTS.c.id == request, seen))
        return next(iter(self._views(found)), None)

    def page(self, scope: Scope, wanted: RequestFilter, *, after: str, limit: int) -> tuple[RequestView, ...]:
        page = (
            select(REQUESTS)
            .where(within(scope, REQUESTS.c.institution), *_meeting(wanted))
            .order_by(REQUESTS.c.submitted.desc(), REQUESTS.c.id.desc())
            .limit(limit)
        )
        if after:
            submitted, _, request = after.partition("/")
            page = page.where(tuple_(REQUESTS.c.submitted, REQUESTS.c.id) < tuple_(int(submitted), request))
        return self._views(self.transaction.rows(page))

    def events(self, scope: Scope, request: RequestId, *, since: Mark, limit: int) -> tuple[Told, ...]:
        told = (
            select(EVENTS)
            .join(REQUESTS, REQUESTS.c.id == EVENTS.c.request)
            .where(EVENTS.c.request == request, within(scope, REQUESTS.c.institution))
            .where(EVENTS.c.mark >= since, EVENTS.c.mark < NextMark())
            .order_by(EVENTS.c.mark, EVENTS.c.number)
            .limit(limit)
        )
        return tuple(
            Told(mark=row["mark"], number=row["number"], event=thing_of(Event, row))
            for row in self.transaction.rows(told)
        )

    def horizon(self) -> Mark:
        return Mark(self.transaction.connection.execute(select(NextMark())).scalar_one())

    def _views(self, rows: Sequence[Row]) -> tuple[RequestView, ...]:
        requests = [thing_of(Request, row) for row in rows]
        of_these = PROCESSES.c.request.in_([request.id for request in requests])
        found = self.transaction.rows(
            select(PROCESSES).where(of_these).order_by(PROCESSES.c.request, PROCESSES.c.ordinal)
        )
        slots = {
            request: tuple(thing_of(Process, row) for row in rows)
            for request, rows in groupby(found, lambda row: row["request"])
        }
        return tuple(RequestView(request=request, slots=slots.get(request.id, ())) for request in requests)


def _meeting(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    asked = {name: getattr(wanted, name) for name in _FILTERS}
    return [REQUESTS.c[name] == value for name, value in asked.items() if value is not None]
