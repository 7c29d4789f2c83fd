"""Centers, pools and environments: tables, rows and queries."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, ForeignKey, Table, select, update

from registry.centers import Center, Environment, Pool, Tier
from store.connections import Transaction
from store.rows import values_of
from store.schema import METADATA, TEXT, Choice, moment

CENTERS: Final = Table(
    "centers",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    moment("closed", nullable=True),
)

POOLS: Final = Table(
    "pools",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("center", ForeignKey("centers.id"), nullable=False),
    Column("tier", Choice(Tier), nullable=False),
    Column("name", TEXT, nullable=False),
)

ENVIRONMENTS: Final = Table(
    "environments",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("version", TEXT, nullable=False),
    Column("python", TEXT, nullable=False),
    Column("distributed", TEXT, nullable=False),
    Column("path", TEXT, nullable=False),
)


@dataclass(frozen=True, slots=True)
class SqlFacilities:
    """`Facilities` in SQL."""

    transaction: Transaction

    def put_center(self, center: Center) -> bool:
        return self._put(CENTERS, center)

    def center(self) -> Center | None:
        row = self.transaction.row(select(CENTERS).order_by(CENTERS.c.id))
        return Center(**row) if row else None

    def put_pool(self, pool: Pool) -> bool:
        return self._put(POOLS, pool)

    def pools(self) -> tuple[Pool, ...]:
        return tuple(Pool(**row) for row in self.transaction.rows(select(POOLS).order_by(POOLS.c.id)))

    def put_environment(self, environment: Environment) -> None:
        self._put(ENVIRONMENTS, environment)

    def _put(self, table: Table, thing: Center | Pool | Environment) -> bool:
        values = values_of(thing)
        if self.transaction.run(self.transaction.insert(table).values(values).on_conflict_do_nothing()):
            return True
        self.transaction.run(update(table).where(table.c.id == thing.id).values(values))
        return False
