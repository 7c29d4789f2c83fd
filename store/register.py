"""What exists, as far as intake and loops must know it."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, Table, bindparam, select

from quotas.rates import RateCard
from registry.centers import Environment, Pool
from registry.ids import BEGINNING, EnvironmentId, PoolId, ProjectId
from registry.institutions import Project
from store.connections import Transaction
from store.facilities import ENVIRONMENTS, POOLS
from store.projects import PROJECTS
from store.rates import all_cards


def _one(table: Table) -> Select[tuple[Any, ...]]:
    return select(table).where(table.c.id == bindparam("key"))


_PROJECT: Final = _one(PROJECTS)
_POOL: Final = _one(POOLS)
_ENVIRONMENT: Final = _one(ENVIRONMENTS)


@dataclass(frozen=True, slots=True)
class SqlRegister:
    """`Register` in SQL."""

    transaction: Transaction

    def project(self, project: ProjectId) -> Project | None:
        row = self.transaction.row(_PROJECT, {"key": project})
        return Project(**row) if row else None

    def pool(self, pool: PoolId) -> Pool | None:
        row = self.transaction.row(_POOL, {"key": pool})
        return Pool(**row) if row else None

    def environment(self, environment: EnvironmentId) -> Environment | None:
        row = self.transaction.row(_ENVIRONMENT, {"key": environment})
        return Environment(**row) if row else None

    def rate_cards(self) -> tuple[RateCard, ...]:
        return all_cards(self.transaction, BEGINNING)
