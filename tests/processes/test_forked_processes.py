"""What a forked process is: itself, measured, within its memory, and never survived by what it left behind."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from asyncio import CancelledError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from haidang.inside import kernel, tenant

from operations.ports.backend import LAST_WORDS_BYTES
from registry.resources import MIB
from scheduler.observed import Cause
from tests.machine import Machine, a_machine, is_alive
from tests.ordered import until


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with a_machine() as machine:
        machine.backend.prepare()
        yield machine


def test_a_cluster_answers_its_first_task(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.cluster(workers=1).ready()  # the warm process is warm
    began = time.perf_counter()
    cluster = machine.cluster()
    with cluster.client() as client:
        assert client.submit(sum, [1, 2, 3]).result() == 6
        took = time.perf_counter() - began
        client.wait_for_workers(2, timeout=20)
    with capsys.disabled():
        sys.stdout.write(f" [{took:.2f} s from the order to the first result] ")


def drawn() -> tuple[float, float]:
    import numpy as np  # noqa: PLC0415 - in the worker

    return random.random(), float(np.random.random())  # noqa: NPY002 - the global state is what forks share


def test_workers_draw_different_random_numbers(machine: Machine) -> None:
    cluster = machine.cluster()
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=20)
        (one, other) = client.run(drawn).values()
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_a_worker_has_its_cores_its_folder_and_nothing_of_the_centers_environment(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAIDANG_SECRET", "the key of the vault")
    cluster = machine.cluster(workers=1)

    def surroundings() -> tuple[int, str, dict[str, str]]:
        return len(os.sched_getaffinity(0)), str(Path.cwd()), dict(os.environ)

    with cluster.client() as client:
        cores, folder, environment = client.submit(surroundings).result()
    assert cores == 1
    assert folder == str(machine.folder / "scratch" / cluster.name(1))
    assert environment["OMP_NUM_THREADS"] == "1"
    assert "HAIDANG_SECRET" not in environment


def test_a_killed_worker_is_seen_to_have_ended_then_and_is_replaced(machine: Machine) -> None:
    cluster = machine.cluster()
    cluster.ready()
    time.sleep(1.1)
    killed = int(time.time())
    os.kill(cluster.pid(1), signal.SIGKILL)
    ended = cluster.ended(1)
    assert ended.cause is Cause.KILLED
    assert ended.detail == "ended by SIGKILL"
    assert ended.ended is not None
    assert ended.started is not None
    assert killed <= ended.ended <= killed + 2
    assert ended.ended > ended.started
    machine.backend.forget(ended.name, ended.uid)
    assert 1 not in cluster.seen()
    cluster.start([1], incarnation=2)
    cluster.ready()
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=20)


def test_the_end_of_what_a_worker_printed_is_read_when_it_has_ended_and_until_it_is_forgotten(machine: Machine) -> None:
    cluster = machine.cluster()
    worker = cluster.ready()[1]
    assert worker.address is not None
    assert machine.backend.tail(worker.name, worker.uid) is None, "it may print more"
    with cluster.client() as client:
        client.run(print, "x" * LAST_WORDS_BYTES + "the sea is rising", flush=True, workers=[worker.address])
    os.kill(cluster.pid(1), signal.SIGKILL)
    ended = cluster.ended(1)
    tail = machine.backend.tail(ended.name, ended.uid)
    assert tail is not None
    assert len(tail) == LAST_WORDS_BYTES
    assert b"xxthe sea is rising\n" in tail[-4096:]
    machine.backend.forget(ended.name, ended.uid)
    assert machine.backend.tail(ended.name, ended.uid) is None


def test_what_is_measured_is_the_work_of_the_process_and_its_children(machine: Machine) -> None:
    cluster = machine.cluster(workers=1, memory=600 * MIB)

    def work() -> int:
        def burn() -> None:
            until = time.process_time() + 0.4
            while time.process_time() < until:
                pass

        if (child := os.fork()) == 0:
            burn()
            os._exit(0)
        os.waitpid(child, 0)
        burn()
        held = bytearray(200 * MIB)
        time.sleep(1.5)
        return len(held)

    with cluster.client() as client:
        assert client.submit(work).result() == 200 * MIB
    cluster.delete()
    ended = cluster.ended(1)
    assert ended.cause is Cause.STOPPED
    assert ended.cpu_milliseconds is not None
    assert ended.peak_memory is not None
    assert 800 <= ended.cpu_milliseconds < 4000
    assert 200 * MIB < ended.peak_memory < 500 * MIB


def test_memory_above_the_limit_ends_the_process_and_says_so(machine: Machine) -> None:
    cluster = machine.cluster(workers=1, memory=300 * MIB)

    def greed() -> None:
        held = []
        for _ in range(12):
            held.append(bytearray(os.urandom(1) * (50 * MIB)))
            time.sleep(0.2)
        time.sleep(30)

    with cluster.client() as client:
        future = client.submit(greed, retries=0)
        ended = cluster.ended(1)
        del future
    assert ended.cause is Cause.MEMORY
    assert f"{300 * MIB} allowed" in ended.detail
    assert ended.peak_memory is not None
    assert ended.peak_memory > 300 * MIB


def spawn_a_family() -> list[int]:
    """Leave a child, and a grandchild of a session of its own whose parent has ended."""
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        time.sleep(600)
        os._exit(0)
    if os.fork() == 0:
        os.setsid()
        if (grandchild := os.fork()) > 0:
            os.write(writes, str(grandchild).encode())
            os._exit(0)
        time.sleep(600)
        os._exit(0)
    return [child, int(os.read(reads, 32))]


@pytest.mark.parametrize("way", ["deleted", "killed"])
def test_no_child_of_a_task_outlives_its_worker(machine: Machine, way: str) -> None:
    cluster, neighbour = machine.cluster(workers=1), machine.cluster(workers=1)
    neighbour.ready()
    with cluster.client() as client:
        left = client.submit(spawn_a_family).result()
        assert all(map(is_alive, left))
        if way == "killed":
            os.kill(cluster.pid(1), signal.SIGKILL)
        else:
            cluster.delete()
        cluster.ended(1)
    assert not any(map(is_alive, left))
    assert all(process.ended is None for process in neighbour.seen().values())


def test_when_the_head_ends_its_workers_end_by_themselves(machine: Machine) -> None:
    cluster = machine.cluster()
    cluster.ready()
    os.kill(cluster.pid(0), signal.SIGKILL)
    assert {process.cause for process in cluster.gone().values()} == {Cause.KILLED, Cause.EXITED}


def test_workers_whose_head_is_gone_before_they_begin_say_so(machine: Machine) -> None:
    cluster = machine.cluster(workers=0)
    cluster.ready()
    cluster.delete()
    cluster.ended(0)
    cluster.start([1])
    ended = cluster.ended(1)
    assert ended.cause is Cause.STOPPED
    assert ended.detail == "its Dask scheduler ended before it"


def test_a_log_does_not_grow_for_ever(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)

    def talk() -> None:
        line = "x" * 99 + "\n"
        for _ in range(100):
            os.write(1, line.encode() * 1000)

    with cluster.client() as client:
        client.submit(talk).result()
    log = machine.place / "run" / cluster.name(1) / "log"
    until(lambda: log.stat().st_size < 2 * MIB)


def test_a_second_warm_process_leaves_at_once(machine: Machine) -> None:
    machine.cluster(workers=0).ready()
    warm: Any = machine.backend._warm
    assert (first := machine.warm_pid()) > 0
    for process in warm.values():
        process.start()
    assert machine.warm_pid() == first


def test_keys_pass_through_no_other_processs_memory(machine: Machine) -> None:
    first, second = machine.cluster(workers=1), machine.cluster(workers=1)
    first.ready()
    second.ready()
    for other in (machine.warm_pid(), second.pid(1), second.keeper_pid(1)):
        for leaf in first.credentials.leaves.values():
            assert not _remembers(other, leaf.key.splitlines()[2].encode())
    assert _remembers(first.pid(1), first.credentials.authority.splitlines()[2].encode())


def _remembers(pid: int, secret: bytes) -> bool:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if line.split()[1].startswith("rw"):
                low, high = (int(bound, 16) for bound in line.split()[0].split("-"))
                memory.seek(low)
                try:
                    if secret in memory.read(high - low):
                        return True
                except OSError:
                    continue
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives processes other uids")
def test_each_project_has_a_uid_that_reaches_nothing_of_the_centers() -> None:
    with a_machine(separate_uids=True) as machine:
        ours, theirs = machine.cluster(workers=1), machine.cluster(workers=1, project="vmu.genomes")
        ours_again = machine.cluster(workers=1)
        scratch = str(machine.folder / "scratch" / theirs.name(1))
        data = str(machine.place)
        own = str(machine.folder / "scratch" / ours.name(1))

        def look_around() -> tuple[tuple[int, ...], list[str]]:
            opened = []
            for folder in (data, scratch, own):
                try:
                    next(Path(folder).iterdir(), None)
                    opened.append(folder)
                except PermissionError:
                    pass
            return os.getresuid() + os.getresgid() + tuple(os.getgroups()), opened

        theirs.ready()
        uids = []
        for cluster in (ours, ours_again):
            with cluster.client() as client:
                ids, opened = client.submit(look_around).result()
                most, _ = client.submit(resource.getrlimit, resource.RLIMIT_NPROC).result()
            assert len(set(ids)) == 1
            assert ids[0] >= 1_900_000_000
            assert most == tenant.most_threads() <= kernel.most_processes() // 16
            assert opened == ([own] if cluster is ours else opened)
            uids.append(ids[0])
        assert uids[0] == uids[1] != theirs.run(1).start.unix_uid
        assert machine.another_backend()._users is not None
        assert subprocess.run(["stat", "-c", "%a", data], capture_output=True, check=True).stdout.strip() == b"700"


def test_what_is_printed_last_fills_no_disk_and_is_out_of_reach_when_it_is_kept(machine: Machine) -> None:
    cluster = machine.cluster(workers=0)

    def leave() -> None:
        log = os.open("/proc/self/fd/1", os.O_WRONLY)
        os.posix_fallocate(log, 0, 64 * MIB)
        os._exit(0)

    log = machine.place / "run" / cluster.name(0) / "log"
    with cluster.client() as client:
        before = log.stat()
        with contextlib.suppress(OSError, TimeoutError, CancelledError):
            client.run_on_scheduler(leave)
    cluster.ended(0)
    assert log.stat().st_size < 2 * MIB
    assert log.stat().st_ino != before.st_ino


def test_folders_however_deep_are_removed(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)

    def dig() -> None:
        for _ in range(2 * sys.getrecursionlimit()):
            os.mkdir("deeper")  # noqa: PTH102 - relative to where we are
            os.chdir("deeper")

    with cluster.client() as client:
        client.submit(dig).result()
    home = machine.folder / "scratch" / cluster.name(1)
    assert home.exists()
    cluster.delete()
    until(lambda: not home.exists())
