"""However roles and tokens are given and taken, nobody's secret ever opens more than when it was made."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.callers import Caller, reached_institution
from operations.people import end_grant, institutions_held, leave, put_grant
from operations.ports.office import Office
from operations.reasons import Refused
from operations.tokens import issue_token
from registry.ids import InstitutionId, PersonId, Seconds, TokenId
from registry.people import EVERYTHING, Person, Role, RoleGrant, Token
from store.transactions import SqlStore
from tests.builders import CENTER, NOW
from tests.databases import SqliteFiles, opened
from tests.seeding import a_project, seed

REACHES = {
    Role.CENTER_ADMIN: (CENTER,),
    Role.INSTITUTION_ADMIN: ("vmu", "hust"),
    Role.RESEARCHER: ("vmu", "vmu.vision", "hust", "hust.climate"),
}
GRANTS = [(role, reach) for role, reaches in REACHES.items() for reach in reaches]
PEOPLE = 4
NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one person tries to do to another."""

    what: str
    actor: int
    subject: int
    grant: tuple[Role, str]
    lasts: int | None


def a_step(chance: Random) -> Step:
    return Step(
        what=chance.choice(["grant", "grant", "end", "token", "token", "leave"]),
        actor=chance.randrange(PEOPLE),
        subject=chance.randrange(PEOPLE),
        grant=chance.choice(GRANTS),
        lasts=chance.choice([None, None, 1, 2, 4]),
    )


@dataclass(slots=True, kw_only=True)
class Town:
    """Four people, the first of whom runs the center and two of whom run an institution, and the tokens they made."""

    people: tuple[PersonId, ...]
    now: Seconds = NOW
    made: dict[TokenId, frozenset[InstitutionId]] = field(default_factory=dict)

    def caller(self, office: Office, number: int) -> Caller | None:
        """Return somebody as one of their tokens would let them in."""
        person = office.people.get(EVERYTHING, self.people[number])
        if person is None or person.left is not None:
            return None
        grants = tuple(grant for grant in office.grants.of(person.id) if grant.holds_at(self.now))
        return Caller(person=person.id, center=CENTER, grants=grants)

    def held(self, office: Office, person: PersonId) -> frozenset[InstitutionId]:
        return institutions_held(office, person, now=self.now)

    def take(self, office: Office, step: Step) -> None:
        """Try the step a second later, and check that it changed nothing beyond the reach of who took it."""
        self.now = Seconds(self.now + 1)
        caller = self.caller(office, step.actor)
        if caller is None:
            return
        subject = self.people[step.subject]
        before = office.grants.of(subject)
        self._do(office, caller, step)
        for grant in set(office.grants.of(subject)) ^ set(before):
            assert caller.administers(reached_institution(grant.reach)), (caller, grant)
        self._check(office, subject)

    def _check(self, office: Office, person: PersonId) -> None:
        held = self.held(office, person)
        for token in office.tokens.of(person):
            then = self.made[token.id]
            assert not token.good_at(self.now) or held <= then or InstitutionId(CENTER) in then, (person, token)

    def _do(self, office: Office, caller: Caller, step: Step) -> None:
        subject, (role, reach) = self.people[step.subject], step.grant
        until = None if step.lasts is None else Seconds(self.now + step.lasts)
        match step.what:
            case "grant":
                grant = RoleGrant(person=subject, role=role, reach=reach, until=until)
                put_grant(office, caller, grant, now=self.now)
            case "end":
                for grant in office.grants.of(subject):
                    end_grant(office, caller, subject, grant.role, grant.reach, now=self.now)
            case "leave" if caller.is_center_admin:
                leave(office, caller, subject, now=self.now)
            case "token":
                self._make_token(office, caller, subject)

    def _make_token(self, office: Office, caller: Caller, subject: PersonId) -> None:
        held = self.held(office, subject)
        token = Token(id=TokenId(f"token-{next(NUMBERS)}"), person=subject, label="", made=self.now)
        if not isinstance(issue_token(office, caller, token, token.id.encode(), now=self.now), Refused):
            assert caller.person == subject or all(caller.administers(one) for one in held)
            self.made[token.id] = held


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    files = SqliteFiles(tmp_path_factory.mktemp("rights"))
    with files.fresh() as url, opened(url) as store:
        seed(store, a_project("vmu.vision"), a_project("hust.climate"))
        yield store


def settle_in(office: Office, people: tuple[PersonId, ...]) -> None:
    """Give the first the center, the next two an institution each, the last a project."""
    first = (GRANTS[0], *GRANTS[1:3], (Role.RESEARCHER, "vmu.vision"))
    for person, (role, reach) in zip(people, first, strict=True):
        office.people.add(Person(id=person, name="Somebody"))
        office.grants.put(RoleGrant(person=person, role=role, reach=reach))


def live_through(office: Office, steps: list[Step]) -> None:
    """Let new people take all steps: in one transaction, because a disk would take longer than all of them."""
    people = tuple(PersonId(f"person-{next(NUMBERS)}") for _ in range(PEOPLE))
    settle_in(office, people)
    town = Town(people=people)
    for step in steps:
        town.take(office, step)


@given(chance=st.randoms(use_true_random=True))
@settings(max_examples=50)
def test_no_secret_ever_opens_more_than_when_it_was_made(store: SqlStore, chance: Random) -> None:
    """Steps are drawn evenly: what goes wrong takes several people, and examples that are made simple have one."""
    store.transact(live_through, [a_step(chance) for _ in range(25)])
