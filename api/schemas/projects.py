"""Projects as they are opened and shown."""

from pydantic import Field

from api.schemas.shape import Choice, Closed, Name, Open, Slug
from registry.ids import InstitutionId, ProjectId, Seconds
from registry.institutions import Project
from registry.tags import Sector, Topic
from registry.vocabularies import PlanSector, PlanTopic


class ProjectIn(Closed):
    """A project that an institution opens. What is left unreported stays so in every report."""

    institution: Slug = Field(examples=["vmu"])
    id: Slug = Field(description="Its name within the institution.", examples=["vision"])
    name: Name = Field(examples=["Ships seen from the quay"])
    sector: Choice[PlanSector] = PlanSector.UNREPORTED
    topic: Choice[PlanTopic] = PlanTopic.UNREPORTED

    def to_project(self, now: Seconds) -> Project:
        """Return the project, which opens now."""
        return Project(
            id=ProjectId(f"{self.institution}.{self.id}"),
            institution=InstitutionId(self.institution),
            name=self.name,
            sector=Sector(self.sector.value),
            topic=Topic(self.topic.value),
            opened=now,
        )


class ProjectOut(Open):
    """What is charged; `id` is `institution.project`."""

    id: str
    institution: str
    name: str
    sector: str
    topic: str
    opened: int
    ended: int | None

    @classmethod
    def from_project(cls, project: Project) -> "ProjectOut":
        """Return a project as it goes out."""
        return cls(
            id=project.id,
            institution=project.institution,
            name=project.name,
            sector=project.sector,
            topic=project.topic,
            opened=project.opened,
            ended=project.ended,
        )
