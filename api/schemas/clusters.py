"""Running clusters as they are shown, scaled, and reached by their owners."""

from pydantic import Field

from api.schemas.requests import phase_of
from api.schemas.shape import Closed, Open
from operations.permitted import Access
from operations.ports.office import RequestView
from scheduler.clusters import HEAD_ORDINAL, Phase
from scheduler.requests import MOST_WORKERS, End


class ScaleIn(Closed):
    """How many workers a cluster should have, within what its request asked for."""

    workers: int = Field(ge=0, le=MOST_WORKERS)


class WorkerCountsOut(Open):
    """How many workers were asked for, are wanted right now, have their place, answer, and are leaving."""

    min: int
    max: int
    wanted: int
    placed: int
    ready: int
    leaving: int


class ClusterOut(Open):
    """The Dask cluster of a request; its id is the request's."""

    id: str
    name: str
    project: str
    institution: str
    person: str
    pool: str
    environment: str
    phase: Phase
    workers: WorkerCountsOut
    placed: int
    deadline: int
    ending: End | None

    @classmethod
    def from_view(cls, view: RequestView) -> "ClusterOut":
        """Return the cluster of a placed request as it goes out."""
        request, phase = view.request, phase_of(view)
        assert phase is not None, request
        assert request.placed is not None, request
        assert request.deadline is not None, request
        return cls(
            id=request.id,
            name=request.name,
            project=request.project,
            institution=request.institution,
            person=request.person,
            pool=request.pool,
            environment=request.environment,
            phase=phase,
            workers=_counted(view),
            placed=request.placed,
            deadline=request.deadline,
            ending=request.ending,
        )


class EnvironmentOut(Open):
    """The packages a cluster runs with; a client needs the same minor version of Python and the same distributed."""

    id: str
    version: str
    python: str
    distributed: str


class ConnectionOut(Open):
    """What the owner connects with: the head's address, and in PEM whom to trust and what to show."""

    address: str
    authority: str
    certificate: str
    key: str
    environment: EnvironmentOut

    @classmethod
    def from_access(cls, access: Access) -> "ConnectionOut":
        """Return the access as it goes out."""
        return cls(
            address=access.address,
            authority=access.authority,
            certificate=access.certificate,
            key=access.key,
            environment=EnvironmentOut.model_validate(access.environment, from_attributes=True),
        )


def _counted(view: RequestView) -> WorkerCountsOut:
    workers = [slot for slot in view.slots if slot.released is None and slot.ordinal != HEAD_ORDINAL]
    return WorkerCountsOut(
        min=view.request.workers_min,
        max=view.request.workers_max,
        wanted=view.request.workers_wanted,
        placed=sum(slot.wanted for slot in workers),
        ready=sum(slot.wanted and slot.ready for slot in workers),
        leaving=sum(not slot.wanted for slot in workers),
    )
