"""The ledger and the allocations as people and exporters read them."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select, tuple_

from operations.ports.office import EntrySum, Place, Posted
from quotas.allocations import Allocation
from quotas.ledger import ABSORBED, AccountId
from quotas.rates import RateCard
from registry.ids import Mark, MicroCredits, ProjectId
from registry.people import Scope
from store.accounts import ALLOCATIONS, BALANCES, read_allocations
from store.connections import Transaction
from store.ledger import ENTRIES, entry_of, usage_of
from store.marks import NextMark
from store.rates import RATE_CARDS
from store.rows import values_of
from store.scopes import within


@dataclass(frozen=True, slots=True)
class SqlBooks:
    """`Books` in SQL."""

    transaction: Transaction

    def entries(self, scope: Scope, *, project: ProjectId | None, after: Place, limit: int) -> tuple[Posted, ...]:
        place = (ENTRIES.c.mark, ENTRIES.c.number)
        page = (
            select(ENTRIES)
            .where(within(scope, ENTRIES.c.institution))
            .where(tuple_(*place) > (after.mark, after.number), ENTRIES.c.mark < NextMark())
            .order_by(*place)
            .limit(limit)
        )
        if project is not None:
            page = page.where(ENTRIES.c.project == project)
        return tuple(
            Posted(mark=row["mark"], number=row["number"], entry=entry_of(row)) for row in self.transaction.rows(page)
        )

    def sums(self, scope: Scope, *, since: Mark, until: Mark | None) -> tuple[EntrySum, ...]:
        entries = ENTRIES.c
        by = (entries.institution, entries.project, entries.pool, entries.kind)
        absorbed = case((entries.source == ABSORBED, entries.amount), else_=0).label("absorbed")
        summed = (entries.amount, absorbed, entries.core_milliseconds, entries.mib_seconds, entries.gpu_milliseconds)
        query = (
            select(*by, func.count().label("entries"), *(func.sum(column).label(column.name) for column in summed))
            .where(within(scope, entries.institution), entries.mark >= since)
            .group_by(*by)
            .order_by(entries.institution, entries.project, entries.pool.nulls_first(), entries.kind)
        )
        if until is not None:
            query = query.where(entries.mark < until)
        return tuple(
            EntrySum(
                institution=row["institution"],
                project=row["project"],
                pool=row["pool"],
                kind=row["kind"],
                entries=row["entries"],
                amount=MicroCredits(int(row["amount"])),
                absorbed=MicroCredits(int(row["absorbed"])),
                usage=usage_of(row),
            )
            for row in self.transaction.rows(query)
        )

    def allocations(
        self, scope: Scope, *, project: ProjectId | None, after: str, limit: int
    ) -> tuple[Allocation, ...]:  # fmt: skip
        conditions: list[ColumnElement[bool]] = [within(scope, ALLOCATIONS.c.institution), ALLOCATIONS.c.id > after]
        if project is not None:
            conditions.append(ALLOCATIONS.c.project == project)
        page = select(ALLOCATIONS.c.id).where(*conditions).order_by(ALLOCATIONS.c.id).limit(limit)
        return read_allocations(self.transaction, ALLOCATIONS.c.id.in_(page))

    def balances(self) -> tuple[tuple[AccountId, MicroCredits], ...]:
        all_of_them = select(BALANCES.c.account, BALANCES.c.amount).order_by(BALANCES.c.account)
        return tuple((row["account"], row["amount"]) for row in self.transaction.rows(all_of_them))

    def put_rate_card(self, card: RateCard) -> bool:
        new = self.transaction.insert(RATE_CARDS).values(values_of(card)).on_conflict_do_nothing()
        return self.transaction.run(new) == 1
