"""What a center's database remembers of requests that ran, as the jobs of a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from cryptography.fernet import Fernet

from operations.ports.office import Office, RequestFilter
from registry.centers import NodeState
from registry.ids import PoolId
from registry.people import EVERYTHING
from registry.resources import MILLI
from scheduler.requests import Request, State
from server.settings import Settings
from server.speech import Speech
from server.trials import Course, NotReplayedError
from simulator.site import Site
from simulator.swf import RigidJob
from store.connections import shown
from store.migrating import is_migrated
from store.transactions import SqlStore

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The jobs of a pool, and what their numbers stand for.

    `institutions` are names by number, `processors` the cores of the pool's nodes, `began` when second 0 was.
    """

    jobs: Sequence[RigidJob]
    institutions: Mapping[int, str]
    processors: int
    began: int


def course_remembered(
    settings: Settings, speech: Speech, *, pool: str | None, processors: int | None, member: str, limit: int | None
) -> Course:
    """Read the jobs of a pool, the only one unless it is named, from a center's database, for a site of its cores.

    Raises:
        NotReplayedError: there is no center, no such pool, or nothing that ran.
        StoreUnavailableError: the database does not answer.
    """
    where = shown(settings.database_url)
    if not is_migrated(settings.database_url):
        raise NotReplayedError(speech("no_center", where=where))
    # Credentials are not looked at: any key does, and whoever replays needs none that opens them.
    store = SqlStore(settings.database_url, sealing_key=Fernet.generate_key().decode())
    try:
        pools = store.read(lambda office: [one.id for one in office.facilities.pools()])
        wanted = [one for one in pools if pool in {None, one}]
        if len(wanted) != 1:
            raise NotReplayedError(speech("which_pool", known=", ".join(pools)))
        found = remembered(store, wanted[0])
    finally:
        store.close()
    there_are = processors or found.processors
    jobs = [job for job in found.jobs if job.procs <= there_are][:limit]
    if not jobs:
        raise NotReplayedError(speech("no_jobs", path=where, processors=there_are))
    site = Site(processors=there_are, member=attrgetter(member))
    names = found.institutions if member == "group" else {}
    return Course(name=wanted[0], jobs=jobs, site=site, member=member, began=found.began, names=names)


def remembered(store: SqlStore, pool: PoolId) -> Remembered:
    """Read every request of a pool that ran and has ended, as a rigid job of its gang's cores.

    A core that is taken in part is taken whole; workers beyond the gang are left out. A job runs from its placement to
    its end, and was announced with its walltime. Its second 0 is the first submission.
    """
    ran = sorted((one for one in _ended(store) if one.pool == pool and _ran(one)), key=lambda one: one.submitted)
    institutions = {name: number for number, name in enumerate(sorted({one.institution for one in ran}), start=1)}
    people = {name: number for number, name in enumerate(sorted({one.person for one in ran}), start=1)}
    began = ran[0].submitted if ran else 0
    jobs = [
        RigidJob(
            index=index,
            job_id=index + 1,
            submit=one.submitted - began,
            procs=-(-one.gang_total().millicores // MILLI),
            run=run,
            est=max(one.walltime_seconds, run),
            user=people[one.person],
            group=institutions[one.institution],
            lifted=one.walltime_seconds < run,
        )
        for index, one in enumerate(ran)
        if (run := _run_seconds(one))
    ]
    return Remembered(
        jobs=jobs,
        institutions={number: name for name, number in institutions.items()},
        processors=store.read(_cores, pool),
        began=began,
    )


def _ended(store: SqlStore) -> Iterator[Request]:
    after = ""
    while page := store.read(_page, after):
        yield from page
        after = f"{page[-1].submitted}/{page[-1].id}"


def _page(office: Office, after: str) -> Sequence[Request]:
    wanted = RequestFilter(state=State.ENDED)
    return [one.request for one in office.request_views.page(EVERYTHING, wanted, after=after, limit=_PAGE)]


def _cores(office: Office, pool: PoolId) -> int:
    nodes = office.capacity.nodes(pool)
    return sum(node.capacity.millicores for node in nodes if node.state is not NodeState.LOST) // MILLI


def _ran(request: Request) -> bool:
    return _run_seconds(request) > 0


def _run_seconds(request: Request) -> int:
    return request.ended - request.placed if request.placed is not None and request.ended is not None else 0
