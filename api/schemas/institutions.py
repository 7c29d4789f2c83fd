"""Members of the center as they are admitted and shown."""

from pydantic import Field

from api.schemas.shape import Choice, Closed, Name, Open, Slug
from registry.ids import InstitutionId, Seconds
from registry.institutions import Institution, InstitutionKind


class InstitutionIn(Closed):
    """Somebody who becomes a member."""

    id: Slug = Field(description="The first part of the names of its projects.", examples=["vmu"])
    name: Name = Field(examples=["Vietnam Maritime University"])
    kind: Choice[InstitutionKind]

    def to_institution(self, now: Seconds) -> Institution:
        """Return the member, who joins now."""
        return Institution(id=InstitutionId(self.id), name=self.name, kind=self.kind, joined=now)


class InstitutionOut(Open):
    """A member of the center."""

    id: str
    name: str
    kind: InstitutionKind
    joined: int
    ended: int | None

    @classmethod
    def from_institution(cls, institution: Institution) -> "InstitutionOut":
        """Return a member as it goes out."""
        return cls(
            id=institution.id,
            name=institution.name,
            kind=institution.kind,
            joined=institution.joined,
            ended=institution.ended,
        )
