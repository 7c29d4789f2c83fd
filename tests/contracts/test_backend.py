"""What every cluster backend promises: names are lived once, ends are seen until they are forgotten."""

from collections.abc import Iterator
from threading import Event

import pytest

from backends.simulated import SimulatedBackend
from operations.ports.backend import LAST_WORDS_BYTES, BackendUnavailableError, ClusterBackend
from registry.ids import ProcessUid
from scheduler.observed import Cause
from scheduler.steps import ClearCluster, DeleteProcesses
from server.clock import SystemClock
from tests.machine import a_machine
from tests.ordered import OrderedCluster, until


@pytest.fixture(scope="module", params=["simulated", "local"])
def backend(request: pytest.FixtureRequest) -> Iterator[ClusterBackend]:
    """Each of the worlds in which clusters run."""
    if request.param == "simulated":
        yield SimulatedBackend(SystemClock())
        return
    with a_machine() as machine:
        yield machine.backend


@pytest.fixture
def cluster(backend: ClusterBackend) -> Iterator[OrderedCluster]:
    """A cluster of which nothing has been started; nothing is left of it afterwards."""
    cluster = OrderedCluster(backend=backend)
    yield cluster
    if cluster.seen():
        cluster.delete()
        cluster.gone()
    cluster.forget()


def test_what_was_begun_is_observed_at_once_and_becomes_ready(cluster: OrderedCluster) -> None:
    cluster.start(range(3))
    assert set(cluster.seen()) == {0, 1, 2}
    ready = cluster.ready()
    assert {ordinal: process.name for ordinal, process in ready.items()} == {n: cluster.name(n) for n in range(3)}
    assert len({process.uid for process in ready.values()}) == 3
    assert all(process.started is not None and process.incarnation == 1 for process in ready.values())


def test_a_name_that_exists_is_left_as_it_is(cluster: OrderedCluster) -> None:
    cluster.start(range(2))
    before = cluster.ready()
    cluster.start(range(3))
    after = cluster.ready()
    assert {ordinal: after[ordinal].uid for ordinal in before} == {n: one.uid for n, one in before.items()}
    assert set(after) == {0, 1, 2}


def test_an_end_is_seen_until_it_is_forgotten_and_its_name_lives_no_second_time(cluster: OrderedCluster) -> None:
    cluster.start(range(2))
    cluster.ready()
    cluster.delete()
    ended = cluster.gone()
    for process in ended.values():
        assert process.started is not None
        assert process.ended is not None
        assert process.ended >= process.started
        assert process.cause is not None
    assert ended[0].cause is Cause.STOPPED
    cluster.start([1])
    assert cluster.seen() == ended, "started again before it was forgotten, it stays as it ended"
    cluster.forget()
    assert cluster.seen() == {}


def test_a_worker_that_ended_is_filled_by_its_next_incarnation(cluster: OrderedCluster) -> None:
    cluster.start(range(2))
    first = cluster.ready()[1]
    cluster.backend.carry_out(DeleteProcesses(request=cluster.request, names=(first.name,)), None)
    cluster.ended(1)
    cluster.forget()
    cluster.start([1], incarnation=2)
    second = cluster.ready()[1]
    assert (second.name, second.incarnation) == (cluster.name(1, incarnation=2), 2)
    assert second.uid != first.uid


def test_to_end_or_to_forget_what_is_not_there_is_no_error(cluster: OrderedCluster) -> None:
    cluster.backend.carry_out(DeleteProcesses(request=cluster.request, names=(cluster.name(7),)), None)
    cluster.backend.forget(cluster.name(7), ProcessUid("0" * 32))
    cluster.start([0])
    cluster.ready()
    for _ in range(2):
        cluster.delete()
    cluster.ended(0)
    cluster.delete()
    cluster.forget()
    cluster.forget()


def test_forgetting_another_life_of_that_name_removes_nothing(cluster: OrderedCluster) -> None:
    cluster.start([0])
    cluster.ready()
    cluster.delete()
    ended = cluster.ended(0)
    cluster.backend.forget(ended.name, ProcessUid("0" * 32))
    assert cluster.seen()[0] == ended


def test_last_words_are_those_of_one_life_in_bounds_and_forgotten_with_it(cluster: OrderedCluster) -> None:
    cluster.start([0])
    cluster.ready()
    cluster.delete()
    ended = cluster.ended(0)
    said = cluster.backend.tail(ended.name, ended.uid)
    assert said is None or 0 < len(said) <= LAST_WORDS_BYTES
    assert cluster.backend.tail(ended.name, ended.uid) == said
    assert cluster.backend.tail(ended.name, ProcessUid("0" * 32)) is None
    assert cluster.backend.tail(cluster.name(7), ended.uid) is None
    cluster.forget()
    assert cluster.backend.tail(ended.name, ended.uid) is None


def test_drained_workers_end_by_themselves_and_the_others_stay(cluster: OrderedCluster) -> None:
    cluster.start(range(3))
    cluster.ready()

    def drained() -> bool:
        cluster.drain(1)
        return cluster.seen()[1].ended is not None

    until(drained)
    assert cluster.seen()[1].cause is Cause.EXITED
    assert cluster.seen()[2].ended is None
    assert cluster.seen()[0].ended is None


def test_nobody_is_drained_by_a_head_that_is_not_there(cluster: OrderedCluster) -> None:
    with pytest.raises(BackendUnavailableError):
        cluster.drain(1)


def test_workers_do_not_outlive_their_head(cluster: OrderedCluster) -> None:
    cluster.start(range(3))
    head = cluster.ready()[0]
    cluster.backend.carry_out(DeleteProcesses(request=cluster.request, names=(head.name,)), None)
    assert set(cluster.gone()) == {0, 1, 2}


def test_clusters_do_not_know_of_each_other(backend: ClusterBackend, cluster: OrderedCluster) -> None:
    other = OrderedCluster(backend=backend)
    cluster.start(range(2))
    other.start(range(2))
    cluster.ready()
    other.ready()
    other.delete()
    other.gone()
    other.forget()
    assert all(process.ended is None for process in cluster.seen().values())
    assert other.seen() == {}


def test_nothing_remains_of_a_cluster_that_is_cleared(cluster: OrderedCluster) -> None:
    cluster.start(range(2))
    cluster.ready()
    cluster.delete()
    cluster.gone()
    cluster.forget()
    for _ in range(2):
        cluster.backend.carry_out(ClearCluster(request=cluster.request), None)
    until(lambda: cluster.request not in cluster.backend.observe().remains)


def test_a_change_is_hinted_at(backend: ClusterBackend, cluster: OrderedCluster) -> None:
    changed = Event()
    backend.watch(changed.set)
    cluster.start([0])
    assert changed.wait(20)
    cluster.ready()
    changed.clear()
    cluster.delete()
    assert changed.wait(20)
