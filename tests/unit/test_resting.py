"""A pass passes over clusters that need nothing, and over no other."""

from dataclasses import replace
from typing import Any

import pytest

from operations.resting import moving
from registry.ids import ProcessUid, RequestId, Seconds
from scheduler.clusters import Cluster
from scheduler.observed import Cause, HeadClaim, Observed, ObservedProcess
from scheduler.policy import DEFAULT_POLICY
from scheduler.requests import End, State
from scheduler.troubles import Trouble
from tests.builders import NOW, a_request, a_slot, an_allocation

BEGAN = Seconds(NOW - NOW % 3600 + 10)
SOON = Seconds(BEGAN + 60)
IDLE = HeadClaim(desired_workers=0, idle_since=Seconds(BEGAN - 1740), clients=0, tasks=0, workers=())


def a_cluster(number: int = 1, **changes: Any) -> Cluster:  # noqa: ANN401 - as `replace` takes them
    request = replace(
        a_request(number),
        state=State.PLACED,
        placed=BEGAN,
        deadline=Seconds(BEGAN + 7200),
        allocation=an_allocation().id,
    )
    slots = (a_slot(number, one, uid=ProcessUid(f"u{number}.{one}"), address="a", started=BEGAN) for one in (0, 1))
    return Cluster(request=replace(request, **changes), processes=tuple(slots))


def seen(cluster: Cluster, **changes: Any) -> list[ObservedProcess]:  # noqa: ANN401
    return [
        replace(
            ObservedProcess(
                name=slot.name,
                uid=slot.uid or ProcessUid("u"),
                request=slot.request,
                ordinal=slot.ordinal,
                incarnation=slot.incarnation,
                address="a",
                started=BEGAN,
            ),
            **(changes if slot.ordinal else {}),
        )
        for slot in cluster.processes
    ]


def left(cluster: Cluster, processes: list[ObservedProcess], *, now: Seconds = SOON, **more: Any) -> list[RequestId]:  # noqa: ANN401
    observed = Observed(processes=tuple(processes), heads=more.pop("heads", {}), **more)
    return [one.request.id for one in moving([cluster], observed, DEFAULT_POLICY, now).clusters]


def with_slot(**changes: Any) -> Cluster:  # noqa: ANN401
    cluster = a_cluster()
    head, worker = cluster.processes
    return replace(cluster, processes=(head, replace(worker, **changes)))


def test_who_runs_as_wanted_is_left_out_with_all_that_is_seen_of_it() -> None:
    quiet, ending = a_cluster(1), a_cluster(2, ending=End.CANCELLED)
    both = Observed(
        processes=(*seen(quiet), *seen(ending)),
        heads={},
        remains=frozenset({quiet.request.id, ending.request.id, RequestId("gone")}),
    )
    found = moving([quiet, ending], both, DEFAULT_POLICY, SOON)
    assert found.clusters == (ending,)
    assert found.observed.processes == tuple(seen(ending))
    assert found.observed.remains == {ending.request.id, "gone"}


def test_at_its_deadline_and_at_the_full_hour_it_is_looked_at() -> None:
    cluster = a_cluster()
    assert left(cluster, seen(cluster)) == []
    assert left(cluster, seen(cluster), now=Seconds(BEGAN + 7200)) == [cluster.request.id]
    assert left(cluster, seen(cluster), now=Seconds(BEGAN + 3590)) == [cluster.request.id]


def test_who_has_been_idle_for_as_long_as_agreed_is_looked_at() -> None:
    cluster = a_cluster()
    heads = {cluster.request.id: IDLE}
    assert left(cluster, seen(cluster), heads=heads, now=Seconds(SOON - 1)) == []
    assert left(cluster, seen(cluster), heads=heads) == [cluster.request.id]


@pytest.mark.parametrize(
    "change",
    [
        {"ended": SOON, "cause": Cause.KILLED},
        {"address": None},
        {"address": "b"},
        {"uid": ProcessUid("other")},
        {"trouble": Trouble.IMAGE},
        {"started": None},
    ],
    ids=str,
)
def test_whose_process_is_not_as_it_is_written_down_is_looked_at(change: dict[str, Any]) -> None:
    cluster = a_cluster()
    assert left(cluster, seen(cluster, **change)) == [cluster.request.id]


@pytest.mark.parametrize(
    "change",
    [{"wanted": False}, {"lease_until": Seconds(SOON + 10)}, {"incarnation": 2}, {"address": None}],
    ids=str,
)
def test_whose_slot_asks_for_something_is_looked_at(change: dict[str, Any]) -> None:
    cluster = with_slot(**change)
    assert left(cluster, seen(a_cluster())) == [cluster.request.id]


def test_who_lacks_a_process_or_has_one_too_many_is_looked_at() -> None:
    cluster = a_cluster()
    assert left(cluster, seen(cluster)[:1]) == [cluster.request.id]
    older = replace(seen(cluster)[1], name="an older incarnation", ended=SOON)
    assert left(cluster, [*seen(cluster), older]) == [cluster.request.id]


def test_what_stands_outside_and_cannot_begin_is_looked_at() -> None:
    cluster = a_cluster()
    unbegun = {cluster.request.id: frozenset({"some"})}
    assert left(cluster, seen(cluster), unbegun=unbegun) == [cluster.request.id]
