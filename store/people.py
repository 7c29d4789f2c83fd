"""People and the roles they were granted: tables, rows and queries."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, ColumnElement, ForeignKey, Table, exists, select, true, update

from registry.ids import PersonId
from registry.people import Person, Role, RoleGrant, Scope
from store.connections import Transaction
from store.rows import thing_of, values_of
from store.schema import METADATA, TEXT, Choice, moment
from store.scopes import within

PEOPLE: Final = Table(
    "people",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    moment("left", nullable=True),
)

GRANTS: Final = Table(
    "grants",
    METADATA,
    Column("person", ForeignKey("people.id"), primary_key=True),
    Column("role", Choice(Role), primary_key=True),
    Column("reach", TEXT, primary_key=True),
    Column("institution", TEXT, index=True),
    moment("until", nullable=True),
)


@dataclass(frozen=True, slots=True)
class SqlPeople:
    """`People` in SQL."""

    transaction: Transaction

    def add(self, person: Person) -> None:
        self.transaction.run(PEOPLE.insert().values(values_of(person)))

    def update(self, person: Person) -> None:
        self.transaction.run(update(PEOPLE).where(PEOPLE.c.id == person.id).values(values_of(person)))

    def get(self, scope: Scope, person: PersonId) -> Person | None:
        seen = select(PEOPLE).where(PEOPLE.c.id == person, _seen(scope))
        row = self.transaction.row(self.transaction.locked(seen))
        return Person(**row) if row else None

    def page(self, scope: Scope, *, after: str, limit: int) -> tuple[Person, ...]:
        page = select(PEOPLE).where(PEOPLE.c.id > after, _seen(scope)).order_by(PEOPLE.c.id).limit(limit)
        return tuple(Person(**row) for row in self.transaction.rows(page))


@dataclass(frozen=True, slots=True)
class SqlGrants:
    """`Grants` in SQL."""

    transaction: Transaction

    def put(self, grant: RoleGrant) -> None:
        new = self.transaction.insert(GRANTS).values(**values_of(grant), institution=_institution(grant))
        self.transaction.run(new.on_conflict_do_update(index_elements=GRANTS.primary_key, set_={"until": grant.until}))

    def of(self, person: PersonId) -> tuple[RoleGrant, ...]:
        grants = select(GRANTS).where(GRANTS.c.person == person).order_by(GRANTS.c.role, GRANTS.c.reach)
        return tuple(thing_of(RoleGrant, row) for row in self.transaction.rows(grants))


def _seen(scope: Scope) -> ColumnElement[bool]:
    if scope.institutions is None:
        return true()
    return exists().where(GRANTS.c.person == PEOPLE.c.id, within(scope, GRANTS.c.institution))


def _institution(grant: RoleGrant) -> str | None:
    """Return the institution that a grant reaches, or lies in; the center's own people belong to none."""
    return None if grant.role is Role.CENTER_ADMIN else grant.reach.partition(".")[0]
