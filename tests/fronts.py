"""A center as its callers meet it: the application on a store with two institutions, their people and their tokens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from api.streams import STEADY, Rhythm
from operations.callers import digest_of
from operations.clusters import record
from operations.cycle import run_cycle
from operations.explaining import Explainer
from operations.follower import Follower
from operations.metering import settle
from operations.ports import Ports
from operations.ports.backend import Credentials, Leaf
from operations.ports.office import Office
from quotas.tree import Share
from registry.ids import (
    AllocationId,
    BookingId,
    PersonId,
    ProcessUid,
    ProjectId,
    RequestId,
    Seconds,
    TokenId,
    institution_of,
)
from registry.people import Person, Role, RoleGrant, Token
from registry.resources import GIB, NOTHING, Resources
from scheduler.clusters import Process
from scheduler.observed import Cause, ObservedProcess
from scheduler.policy import DEFAULT_POLICY
from store.transactions import SqlStore
from tests.builders import CENTER, NOW, a_node, a_rate_card, a_share, cores, request_id
from tests.seeding import A_POOL, AN_ENVIRONMENT, a_project, award, seed

PROJECTS = ("vmu.vision", "hust.climate")

PEOPLE = {
    "root": (Role.CENTER_ADMIN, CENTER),
    "dean": (Role.INSTITUTION_ADMIN, "vmu"),
    "alice": (Role.RESEARCHER, "vmu.vision"),
    "bob": (Role.RESEARCHER, "vmu"),
    "eve": (Role.RESEARCHER, "hust.climate"),
}
"""Who there is; each one's secret is their name with `-secret` behind it."""


class SetClock:
    """`Clock` that stands until a test moves it."""

    def __init__(self) -> None:
        self.time: int = NOW

    def now(self) -> Seconds:
        return Seconds(self.time)


class CountingIds:
    """`Ids` in order, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def request(self) -> RequestId:
        return request_id(self._next())

    def person(self) -> PersonId:
        return PersonId(request_id(self._next()))

    def allocation(self) -> AllocationId:
        return AllocationId(request_id(self._next()))

    def booking(self) -> BookingId:
        return BookingId(request_id(self._next()))

    def token(self) -> TokenId:
        return TokenId(request_id(self._next()))

    def secret(self) -> str:
        return f"made-{self._next()}-secret"

    def _next(self) -> int:
        with self._lock:
            self._last += 1
            return self._last


def person_id(name: str) -> PersonId:
    """Return the id of one of `PEOPLE`."""
    return PersonId(name.ljust(26, "x"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The application, and what a test does behind its back: the loops' work, by the loops' own operations."""

    store: SqlStore
    app: FastAPI
    follower: Follower
    clock: SetClock
    ports: Ports[Office]
    portal: BlockingPortal

    def client(self, name: str | None = None) -> TestClient:
        """Return a client that shows the token of one of `PEOPLE`, or none; a mistake is answered, not raised."""
        headers = {"Accept-Language": "en"} | ({"Authorization": f"Bearer {name}-secret"} if name else {})
        client = TestClient(self.app, raise_server_exceptions=False, headers=headers)
        client.portal = self.portal  # one event loop for all calls, as a server has; each would make its own
        return client

    def cycle(self) -> None:
        """Decide and apply once."""
        run_cycle(self.ports, self.follower)

    def start(self, request: str) -> None:
        """Have every process of a placed request answer."""
        for slot in self._slots(request):
            self.store.transact(record, _seen(slot, self.clock.now()), now=self.clock.now())

    def end(self, request: str) -> None:
        """Have every process of a request that is to end be seen to have ended."""
        for slot in self._slots(request):
            seen = replace(_seen(slot, Seconds(NOW)), ended=self.clock.now(), cause=Cause.STOPPED)
            self.store.transact(settle, seen, DEFAULT_POLICY, now=self.clock.now())

    def give_credentials(self, request: str) -> None:
        """Keep the credentials of a cluster, as its first start does."""
        leaves = {role: Leaf(certificate=f"{role} certificate", key=f"{role} key") for role in ("owner", "center")}
        made = Credentials(authority="authority certificate", leaves=leaves, token="token")
        self.store.transact(_keep, RequestId(request), made)

    def _slots(self, request: str) -> tuple[Process, ...]:
        return self.store.read(_slots, RequestId(request))


def seed_front(store: SqlStore, *, capacity: Resources | None = None) -> None:
    """Make a center of one node with two institutions that may each use all of it."""
    whole = capacity or cores(8, 32)
    seed(store, A_POOL, a_node(capacity=whole), AN_ENVIRONMENT, a_rate_card(), *map(a_project, PROJECTS))
    seed(store, *_shares(whole))
    for project in PROJECTS:
        award(store, project)
    store.transact(_employ)


@contextmanager
def a_front(store: SqlStore, *, rhythm: Rhythm = STEADY) -> Iterator[Front]:
    """Give the application on a store that was seeded."""
    clock, nobody = SetClock(), cast("Any", None)  # the API speaks to no backend and makes no certificates
    ports: Ports[Office] = Ports(store=store, backend=nobody, authority=nobody, clock=clock, ids=CountingIds())
    follower = Follower(store, DEFAULT_POLICY)
    # By this clock to explain takes no time, so that what was explained is never told again.
    explainer = Explainer(follower, clock, nanoseconds=lambda: 0)
    app = create_app(ports, explainer, DEFAULT_POLICY, rhythm=rhythm)
    with start_blocking_portal() as portal:
        yield Front(store=store, app=app, follower=follower, clock=clock, ports=ports, portal=portal)
        app.state.desk.streams.close()


def a_body(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON can hold
    """Return what somebody at `vmu` asks for."""
    body: dict[str, Any] = {
        "project": "vmu.vision",
        "pool": "main",
        "worker": {"millicores": 1000, "memory": 2 * GIB},
        "workers": {"min": 1, "max": 4},
    }
    return body | changes


def _shares(whole: Resources) -> list[Share]:
    institutions = {institution_of(ProjectId(project)) for project in PROJECTS}
    return [
        a_share(CENTER, whole, parent=None),
        *(a_share(one, NOTHING, borrowing=whole) for one in sorted(institutions)),
        *(a_share(one, NOTHING, borrowing=whole, parent=institution_of(ProjectId(one))) for one in PROJECTS),
    ]


def _employ(office: Office) -> None:
    for name, (role, reach) in PEOPLE.items():
        person = person_id(name)
        office.people.add(Person(id=person, name=name.title()))
        office.grants.put(RoleGrant(person=person, role=role, reach=reach))
        token = Token(id=TokenId(person), person=person, label="test", made=Seconds(0))
        office.tokens.add(token, digest_of(f"{name}-secret"))


def _slots(office: Office, request: RequestId) -> tuple[Process, ...]:
    return office.clusters.slots(request)


def _keep(office: Office, request: RequestId, credentials: Credentials) -> None:
    office.vault.keep(request, credentials)


def _seen(slot: Process, started: Seconds) -> ObservedProcess:
    return ObservedProcess(
        name=slot.name,
        uid=ProcessUid(f"uid-{slot.name}"),
        request=slot.request,
        ordinal=slot.ordinal,
        incarnation=slot.incarnation,
        address=f"tls://127.0.0.1:{9000 + slot.ordinal}",
        started=started,
    )
