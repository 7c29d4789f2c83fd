"""Shrinking by agreement: nothing runs twice, nothing that exists once is lost, and what cannot be is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from backends.door import Door
from registry.resources import MIB
from scheduler.observed import Cause, HeadClaim
from tests.machine import Machine, TestCluster, a_machine
from tests.ordered import until


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with a_machine() as machine:
        yield machine


def wait_for(client: Client, cluster: TestCluster, workers: int) -> dict[int, str]:
    """Addresses of workers by ordinal."""
    client.wait_for_workers(workers, timeout=20)
    named = {worker["name"]: address for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()}
    return {ordinal: named[cluster.name(ordinal)] for ordinal in range(1, workers + 1)}


def ask(cluster: TestCluster, *ordinals: int, seconds: int = 20, may_refuse: bool = False) -> dict[int, dict[str, Any]]:
    doors = cluster.run(0).doors
    assert doors is not None
    assert doors.state is not None
    question = {
        "workers": [cluster.name(ordinal) for ordinal in ordinals],
        "deadline_seconds": seconds,
        "may_refuse": may_refuse,
    }
    with closing(
        Door(request=cluster.request, credentials=cluster.credentials, address=("127.0.0.1", doors.state))
    ) as door:
        answer: Any = door.ask("POST", "/drain", question)["workers"]
    return {ordinal: answer[cluster.name(ordinal)] for ordinal in ordinals}


def drained(
    cluster: TestCluster, *ordinals: int, phase: str = "closed", seconds: int = 20, may_refuse: bool = False
) -> dict[int, dict[str, Any]]:
    def look() -> dict[int, dict[str, Any]] | None:
        answers = ask(cluster, *ordinals, seconds=seconds, may_refuse=may_refuse)
        return answers if {answer["phase"] for answer in answers.values()} == {phase} else None

    return until(look)


def note(folder: str, number: int, seconds: float) -> int:
    """A task that leaves a trace each time it begins."""
    with Path(folder, str(number)).open("a") as file:
        file.write("x")
    time.sleep(seconds)
    return number


def test_a_busy_worker_leaves_without_a_task_run_twice_or_data_lost(machine: Machine, tmp_path: Path) -> None:
    cluster = machine.cluster(workers=2)
    with cluster.client() as client:
        workers = wait_for(client, cluster, 2)
        [scattered] = client.scatter([b"only here"], workers=[workers[1]])
        tasks = [client.submit(note, str(tmp_path), n, 0.6, workers=[workers[1]], allow_other_workers=True)
                 for n in range(6)]  # fmt: skip
        until(lambda: any(tmp_path.iterdir()))
        assert ask(cluster, 1)[1]["phase"] == "draining"
        ended = cluster.ended(1)
        assert sorted(client.gather(tasks)) == list(range(6))
        assert scattered.result() == b"only here"
    assert ended.cause is Cause.EXITED
    assert {file.read_text() for file in tmp_path.iterdir()} == {"x"}
    answer = ask(cluster, 1)[1]
    assert answer["phase"] == "closed"
    assert answer["lost"] == answer["repeated"] == 0
    assert answer["moved"] >= 1  # what was scattered; and results, if any came to be there before it left


def test_the_backend_has_its_head_drain_workers_that_then_end(machine: Machine) -> None:
    cluster = machine.cluster(workers=3)
    with cluster.client() as client:
        workers = wait_for(client, cluster, 3)
        futures = client.scatter(list(range(30)), workers=list(workers.values())[:2])
        for _ in range(3):
            cluster.drain(1, 2)
        assert {cluster.ended(1).cause, cluster.ended(2).cause} == {Cause.EXITED}
        cluster.drain(1, 2)
        assert client.gather(futures) == list(range(30))
        claim = until(lambda: claim_of(machine, cluster, cluster.name(3)))
        assert claim.workers[0].stored_bytes > 0


def test_who_is_named_while_the_head_is_being_asked_is_asked_for_next(machine: Machine) -> None:
    cluster = machine.cluster(workers=5)
    with cluster.client() as client:
        wait_for(client, cluster, 5)
        for ordinal in range(1, 5):
            cluster.drain(ordinal)
        assert {cluster.ended(ordinal).cause for ordinal in range(1, 5)} == {Cause.EXITED}
        assert cluster.seen()[5].ended is None


def claim_of(machine: Machine, cluster: TestCluster, *names: str) -> HeadClaim | None:
    """What the head says once it has exactly these workers."""
    head = machine.backend.observe().heads.get(cluster.request)
    return head if head is not None and tuple(worker.name for worker in head.workers) == names else None


def test_drains_run_side_by_side(machine: Machine) -> None:
    cluster = machine.cluster(workers=3)
    with cluster.client() as client:
        workers = wait_for(client, cluster, 3)
        long = client.submit(time.sleep, 2, workers=[workers[1]], pure=False)
        until(lambda: any(client.processing().values()))
        assert ask(cluster, 1)[1]["phase"] == "draining"
        began = time.monotonic()
        drained(cluster, 2)
        assert time.monotonic() - began < 1.5
        assert not long.done()
        assert drained(cluster, 1)[1]["repeated"] == 0
        assert long.result() is None


def test_a_deadline_holds_and_what_it_costs_is_said(machine: Machine, tmp_path: Path) -> None:
    cluster = machine.cluster(workers=2)
    with cluster.client() as client:
        workers = wait_for(client, cluster, 2)
        task = client.submit(note, str(tmp_path), 1, 2, workers=[workers[1]], allow_other_workers=True)
        until(lambda: any(tmp_path.iterdir()))
        began = time.monotonic()
        ask(cluster, 1, seconds=1)
        ask(cluster, 1, seconds=600)  # said again it is not put off
        assert drained(cluster, 1, seconds=600)[1]["repeated"] == 1
        assert time.monotonic() - began < 4
        assert cluster.ended(1).cause is Cause.EXITED
        assert task.result() == 1
    assert (tmp_path / "1").read_text() == "xx"


def test_a_drain_may_be_refused_when_the_rest_cannot_hold_what_it_holds(machine: Machine) -> None:
    cluster = machine.cluster(workers=2, memory=256 * MIB)
    with cluster.client() as client:
        workers = wait_for(client, cluster, 2)
        held = [
            client.submit(bytes, (100 + ordinal) * MIB, workers=[address])  # different, else they are one task
            for ordinal, address in workers.items()
        ]
        until(lambda: all(future.done() for future in held))
        answer = ask(cluster, 1, may_refuse=True)[1]
        assert answer["phase"] == "refused"
        assert "exist only on leaving workers" in answer["reason"]
        assert client.submit(sum, [1, 2], workers=[workers[1]]).result() == 3  # it goes on working
        assert cluster.seen()[1].ended is None


def test_the_last_worker_that_holds_anything_may_be_refused_and_must_leave_when_told_so(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    with cluster.client() as client:
        wait_for(client, cluster, 1)
        [kept] = client.scatter([b"only here"])
        computed = client.submit(sum, [1, 2])
        assert computed.result() == 3
        assert drained(cluster, 1, phase="refused", may_refuse=True)[1]["moved"] == 0
        answer = drained(cluster, 1, seconds=1)[1]
        assert (answer["lost"], answer["repeated"]) == (1, 1)
        until(lambda: kept.status in {"cancelled", "lost"})


def test_who_is_not_there_is_said_to_be_absent(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    cluster.ready()
    assert ask(cluster, 5)[5]["phase"] == "absent"
