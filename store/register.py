"""What exists, as far as intake and loops must know it."""

from dataclasses import dataclass

from sqlalchemy import Table, select
from sqlalchemy.engine import RowMapping

from quotas.rates import RateCard
from registry.centers import Environment, Pool
from registry.ids import BEGINNING, EnvironmentId, PoolId, ProjectId
from registry.institutions import Project
from store.connections import Transaction
from store.facilities import ENVIRONMENTS, POOLS
from store.projects import PROJECTS
from store.rates import all_cards


@dataclass(frozen=True, slots=True)
class SqlRegister:
    """`Register` in SQL."""

    transaction: Transaction

    def project(self, project: ProjectId) -> Project | None:
        row = self._row(PROJECTS, project)
        return Project(**row) if row else None

    def pool(self, pool: PoolId) -> Pool | None:
        row = self._row(POOLS, pool)
        return Pool(**row) if row else None

    def environment(self, environment: EnvironmentId) -> Environment | None:
        row = self._row(ENVIRONMENTS, environment)
        return Environment(**row) if row else None

    def rate_cards(self) -> tuple[RateCard, ...]:
        return all_cards(self.transaction, BEGINNING)

    def _row(self, table: Table, key: str) -> RowMapping | None:
        return self.transaction.row(select(table).where(table.c.id == key))
