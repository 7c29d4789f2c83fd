"""The legal members of the center and the projects they are charged for."""

from dataclasses import dataclass
from enum import StrEnum

from registry.ids import InstitutionId, ProjectId, Seconds
from registry.tags import Sector, Topic


class InstitutionKind(StrEnum):
    """What sort of legal body a member is."""

    UNIVERSITY = "university"
    INSTITUTE = "institute"
    VOCATIONAL = "vocational"
    COMPANY = "company"
    STARTUP = "startup"
    DEPARTMENT = "department"
    ARMED_FORCES = "armed_forces"
    LOCAL_GOVERNMENT = "local_government"


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """A legal member of the center; `ended` is when it stopped being one."""

    id: InstitutionId
    name: str
    kind: InstitutionKind
    joined: Seconds
    ended: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What is charged: work of one institution, tagged for the reports; an unset tag is reported as unreported."""

    id: ProjectId
    institution: InstitutionId
    name: str
    sector: Sector
    topic: Topic
    opened: Seconds
    ended: Seconds | None = None
