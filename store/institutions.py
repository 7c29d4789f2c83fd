"""Institutions: their table, and how the office reads and adds them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Table, select

from registry.ids import InstitutionId
from registry.institutions import Institution, InstitutionKind
from registry.people import Scope
from store.connections import Transaction
from store.rows import values_of
from store.schema import METADATA, TEXT, Choice, moment
from store.scopes import within

INSTITUTIONS: Final = Table(
    "institutions",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("kind", Choice(InstitutionKind), nullable=False),
    moment("joined"),
    moment("ended", nullable=True),
)


@dataclass(frozen=True, slots=True)
class SqlInstitutions:
    """`Institutions` in SQL."""

    transaction: Transaction

    def add(self, institution: Institution) -> bool:
        new = self.transaction.insert(INSTITUTIONS).values(values_of(institution)).on_conflict_do_nothing()
        return self.transaction.run(new) == 1

    def get(self, scope: Scope, institution: InstitutionId) -> Institution | None:
        seen = within(scope, INSTITUTIONS.c.id)
        row = self.transaction.row(select(INSTITUTIONS).where(INSTITUTIONS.c.id == institution, seen))
        return Institution(**row) if row else None

    def page(self, scope: Scope, *, after: str, limit: int) -> tuple[Institution, ...]:
        seen = within(scope, INSTITUTIONS.c.id)
        page = select(INSTITUTIONS).where(INSTITUTIONS.c.id > after, seen).order_by(INSTITUTIONS.c.id).limit(limit)
        return tuple(Institution(**row) for row in self.transaction.rows(page))
