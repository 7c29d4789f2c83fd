"""How long placed requests had waited, from the journal, and how that was foreseen: what is counted once stays so."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, null, select

from operations.events import EventKind
from operations.ports.office import HitCount, WaitCount
from registry.ids import Mark
from scheduler.estimates import Side
from store.connections import Transaction
from store.journal import EVENTS
from store.outcomes import OUTCOMES
from store.requests import REQUESTS


@dataclass(frozen=True, slots=True)
class SqlWaits:
    """`Waits` in SQL."""

    transaction: Transaction

    def counts(self, bounds: tuple[int, ...], *, since: Mark, until: Mark | None) -> tuple[WaitCount, ...]:
        waited = EVENTS.c.at - REQUESTS.c.submitted - REQUESTS.c.held_seconds
        by = (REQUESTS.c.institution, REQUESTS.c.pool, REQUESTS.c.request_class, _first_bound(waited, bounds))
        query = (
            select(*by, func.count().label("placed"), func.sum(waited).label("waited_seconds"))
            .join(REQUESTS, REQUESTS.c.id == EVENTS.c.request)
            .where(EVENTS.c.kind == EventKind.PLACED, EVENTS.c.mark >= since)
            .group_by(*by)
            .order_by(*by)
        )
        if until is not None:
            query = query.where(EVENTS.c.mark < until)
        return tuple(
            WaitCount(**{**row, "waited_seconds": int(row["waited_seconds"])}) for row in self.transaction.rows(query)
        )

    def hits(self, *, since: Mark, until: Mark | None) -> tuple[HitCount, ...]:
        by = (OUTCOMES.c.pool, OUTCOMES.c.half_side, OUTCOMES.c.most_side)
        query = select(*by, func.count().label("placed")).where(OUTCOMES.c.mark >= since).group_by(*by).order_by(*by)
        if until is not None:
            query = query.where(OUTCOMES.c.mark < until)
        return tuple(
            HitCount(
                pool=row["pool"],
                half_side=Side(row["half_side"]),
                most_side=Side(row["most_side"]),
                placed=row["placed"],
            )
            for row in self.transaction.rows(query)
        )


def _first_bound(waited: ColumnElement[int], bounds: tuple[int, ...]) -> ColumnElement[int | None]:
    return case(*((waited <= bound, bound) for bound in sorted(bounds)), else_=null()).label("up_to")
