"""What projects are billed: their entries of a period, summed by the database."""

from dataclasses import dataclass

from sqlalchemy import case, func, select

from quotas.ledger import ABSORBED
from quotas.statements import Line, Period
from registry.ids import MicroCredits, ProjectId
from registry.people import Scope
from store.connections import Transaction
from store.ledger import ENTRIES, usage_of
from store.scopes import within


@dataclass(frozen=True, slots=True)
class SqlBills:
    """`Bills` in SQL."""

    transaction: Transaction

    def lines(self, scope: Scope, project: ProjectId, period: Period) -> tuple[Line, ...]:
        entries = ENTRIES.c
        absorbed = case((entries.source == ABSORBED, entries.amount), else_=0).label("absorbed")
        summed = (entries.amount, absorbed, entries.core_milliseconds, entries.mib_seconds, entries.gpu_milliseconds)
        sums = (func.sum(column).label(column.name) for column in summed)
        query = (
            select(entries.kind, entries.pool, func.count().label("entries"), *sums)
            .where(within(scope, entries.institution), entries.project == project)
            .group_by(entries.kind, entries.pool)
        )
        if period.since is not None:
            query = query.where(entries.at >= period.since)
        if period.until is not None:
            query = query.where(entries.at < period.until)
        return tuple(
            Line(
                kind=row["kind"],
                pool=row["pool"],
                entries=row["entries"],
                amount=MicroCredits(int(row["amount"])),
                absorbed=MicroCredits(int(row["absorbed"])),
                usage=usage_of(row),
            )
            for row in self.transaction.rows(query)
        )
