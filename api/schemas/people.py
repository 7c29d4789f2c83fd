"""People and their roles as they are given and shown."""

from pydantic import Field

from api.schemas.shape import Choice, Closed, Moment, Name, Open, Reach
from operations.people import PersonView
from registry.ids import PersonId, Seconds
from registry.people import Person, Role, RoleGrant


class PersonIn(Closed):
    """Somebody who is to act at the center, with a first role."""

    name: Name = Field(examples=["Trần Thị Mai"])
    role: Choice[Role]
    reach: Reach = Field(description="The center, an institution or a project.", examples=["vmu", "vmu.vision"])
    until: Moment | None = Field(default=None, description="When the role ends; it lasts if left out.")

    def to_person(self, person: PersonId) -> Person:
        """Return the person."""
        return Person(id=person, name=self.name)

    def to_grant(self, person: PersonId) -> RoleGrant:
        """Return the first role."""
        return _grant(person, self.role, self.reach, self.until)


class GrantIn(Closed):
    """How long somebody has a role."""

    until: Moment | None = Field(default=None, description="When it ends; it lasts if left out.")

    def to_grant(self, person: PersonId, role: Role, reach: str) -> RoleGrant:
        """Return the role of a person."""
        return _grant(person, role, reach, self.until)


class GrantOut(Open):
    """A role, what it reaches, and when it ends or did."""

    role: Role
    reach: str
    until: int | None


class PersonOut(Open):
    """Somebody who acts; `left` is when they lost all access."""

    id: str
    name: str
    left: int | None

    @classmethod
    def from_person(cls, person: Person) -> "PersonOut":
        """Return a person as they go out."""
        return cls(id=person.id, name=person.name, left=person.left)


class PersonDetailOut(PersonOut):
    """Somebody with every role they have or had, as far as the caller may see it."""

    grants: list[GrantOut]

    @classmethod
    def from_view(cls, view: PersonView) -> "PersonDetailOut":
        """Return a person with their roles as they go out."""
        grants = [GrantOut(role=grant.role, reach=grant.reach, until=grant.until) for grant in view.grants]
        return cls(id=view.person.id, name=view.person.name, left=view.person.left, grants=grants)


def _grant(person: PersonId, role: Role, reach: str, until: int | None) -> RoleGrant:
    return RoleGrant(person=person, role=role, reach=reach, until=None if until is None else Seconds(until))
