"""Who goes on when somebody else ends: server, warm process, keeper, and what is then known of an end."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from haidang.inside import runs

from operations.ports.backend import BackendUnavailableError
from scheduler.observed import Cause
from tests.machine import Machine, a_machine, is_alive
from tests.ordered import HERE, until


@pytest.fixture
def machine() -> Iterator[Machine]:
    with a_machine() as machine:
        yield machine


def end_warm_process(machine: Machine) -> None:
    pid = machine.warm_pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))


def test_a_backend_that_starts_again_finds_what_runs_and_what_ended(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    before = cluster.ready()
    machine.backend.close()
    os.kill(cluster.pid(1), signal.SIGKILL)
    machine.backend = cluster.backend = machine.another_backend()
    machine.backend.know(cluster.request, cluster.credentials)
    assert cluster.ended(1).uid == before[1].uid
    assert cluster.seen()[0].address == before[0].address

    def claimed() -> bool:
        claim = machine.backend.observe().heads.get(cluster.request)
        return claim is not None and claim.workers == () and claim.idle_since is not None

    until(claimed)


def test_processes_go_on_without_the_warm_process_and_the_next_one_ends_them(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    cluster.ready()
    end_warm_process(machine)
    with cluster.client() as client:
        assert client.submit(sum, [1, 2]).result() == 3
    os.kill(cluster.pid(1), signal.SIGKILL)
    assert cluster.ended(1).cause is Cause.KILLED  # its keeper saw it and measured it
    assert cluster.ended(1).cpu_milliseconds
    cluster.delete()
    until(machine.backend._warm[HERE].is_listening)

    def stopped() -> bool:
        cluster.delete()  # as each pass of the reconciler does, until the new one knows its processes
        return cluster.seen()[0].ended is not None

    until(stopped)
    assert cluster.ended(0).cause is Cause.STOPPED


def test_a_process_ends_with_its_keeper_and_the_end_is_written(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    cluster.ready()
    process = cluster.pid(1)
    os.kill(cluster.keeper_pid(1), signal.SIGKILL)
    killed = int(time.time())
    ended = cluster.ended(1)
    assert ended.cause is Cause.KILLED
    assert ended.detail == "its keeper ended before it"
    assert ended.ended is not None
    assert killed - 1 <= ended.ended <= killed + 2
    assert not is_alive(process)


def test_an_end_that_nobody_saw_is_the_last_sign_of_life(machine: Machine) -> None:
    cluster = machine.cluster(workers=0)
    cluster.ready()
    process, keeper = cluster.pid(0), cluster.keeper_pid(0)
    first = cluster.run(0).pulse
    until(lambda: cluster.run(0).pulse != first)
    last = cluster.run(0).pulse
    assert last is not None
    end_warm_process(machine)
    os.kill(keeper, signal.SIGKILL)
    until(lambda: not is_alive(process))
    assert cluster.seen()[0].ended is None
    time.sleep(1.1)
    machine.backend.prepare()
    ended = cluster.ended(0)
    assert ended.cause is Cause.UNSEEN
    assert ended.ended == last.at // 1000
    assert ended.cpu_milliseconds == last.cpu_milliseconds


def test_what_escaped_a_killed_keeper_is_ended_too(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)

    def leave_a_child() -> int:
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
        return child

    with cluster.client() as client:
        child = client.submit(leave_a_child).result()
    os.kill(cluster.keeper_pid(1), signal.SIGKILL)
    cluster.ended(1)
    until(lambda: not is_alive(child))


def test_a_folder_left_between_its_making_and_the_fork_never_started(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    cluster.ready()
    end_warm_process(machine)
    left = machine.place / "run" / cluster.name(7)
    shutil.copytree(machine.place / "run" / cluster.name(1), left)
    for file in (runs.PULSE, runs.DOORS):
        (left / file).unlink()
    start = (left / runs.START).read_text().replace(cluster.name(1), cluster.name(7))
    (left / runs.START).write_text(start)
    unfinished = machine.place / "run" / f".{cluster.name(8)}.{'0' * 32}"
    unfinished.mkdir()
    machine.backend.prepare()
    ended = cluster.ended(7)
    assert ended.cause is Cause.NEVER_STARTED
    assert ended.ended == ended.started
    assert not unfinished.exists()


def test_a_folder_that_cannot_be_read_is_taken_for_alive_while_it_was_seen(machine: Machine) -> None:
    cluster = machine.cluster(workers=0)
    before = cluster.ready()
    start = machine.place / "run" / cluster.name(0) / runs.START
    content = start.read_bytes()
    start.write_bytes(b"{}")
    assert cluster.seen()[0].uid == before[0].uid
    start.write_bytes(content)


def test_a_warm_process_whose_folder_is_gone_leaves(machine: Machine) -> None:
    machine.backend.prepare()
    until(machine.backend._warm[HERE].is_listening)
    warm = machine.warm_pid()
    (machine.place / runs.SOCKET).unlink()
    until(lambda: not is_alive(warm), seconds=15)


def test_an_environment_that_cannot_be_started_is_said_so(tmp_path: Path) -> None:
    with a_machine() as machine:
        backend = type(machine.backend)(
            data=tmp_path / "data", scratch=tmp_path / "scratch", environments={HERE: tmp_path}, separate_uids=False
        )
        with pytest.raises(BackendUnavailableError, match="could not be started"):
            backend.prepare()
        backend.close()
