"""Projects: their table, and how the office reads and adds them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, ForeignKey, Table, select

from registry.ids import ProjectId
from registry.institutions import Project
from registry.people import Scope
from store.connections import Transaction
from store.rows import values_of
from store.schema import METADATA, TEXT, moment
from store.scopes import within

PROJECTS: Final = Table(
    "projects",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("institution", ForeignKey("institutions.id"), nullable=False, index=True),
    Column("name", TEXT, nullable=False),
    Column("sector", TEXT, nullable=False),
    Column("topic", TEXT, nullable=False),
    moment("opened"),
    moment("ended", nullable=True),
)


@dataclass(frozen=True, slots=True)
class SqlProjects:
    """`Projects` in SQL."""

    transaction: Transaction

    def add(self, project: Project) -> bool:
        new = self.transaction.insert(PROJECTS).values(values_of(project)).on_conflict_do_nothing()
        return self.transaction.run(new) == 1

    def get(self, scope: Scope, project: ProjectId) -> Project | None:
        seen = within(scope, PROJECTS.c.institution)
        row = self.transaction.row(select(PROJECTS).where(PROJECTS.c.id == project, seen))
        return Project(**row) if row else None

    def page(self, scope: Scope, *, after: str, limit: int) -> tuple[Project, ...]:
        seen = within(scope, PROJECTS.c.institution)
        page = select(PROJECTS).where(PROJECTS.c.id > after, seen).order_by(PROJECTS.c.id).limit(limit)
        return tuple(Project(**row) for row in self.transaction.rows(page))
