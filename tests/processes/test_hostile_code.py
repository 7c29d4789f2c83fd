"""What a tenant's code does on purpose: it hides, forks without end, holds up who watches it, and ends all the same."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from haidang.inside import kernel
from haidang.inside.keeper import LONGEST_SUM_SECONDS, MOST_PROCESSES, _Meter

from registry.resources import GIB, MIB
from scheduler.observed import Cause
from tests.machine import Machine, a_machine, is_alive
from tests.ordered import until

# Programs of their own, so that a fork copies a small process. They forget nobody: all end by themselves.
CROWD = """
import os, sys, time
held = bytes(int(sys.argv[2]) << 20).replace(b"\\0", b"1")
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
print("all there", flush=True)
time.sleep(60)
"""
ROAMING_LINES = """
import os, sys, time
os.setsid()
end = time.time() + 30
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
for _ in range(12):
    if os.fork() == 0:
        while time.time() < end:
            if os.fork() > 0:
                os._exit(0)
        os._exit(0)
time.sleep(30)
"""
HOLD = """
import ctypes, os, sys, time
seize, trace_exit = 0x4206, 0x40
libc = ctypes.CDLL(None)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
print(libc.ptrace(seize, int(sys.argv[1]), None, trace_exit if sys.argv[2] == "alive" else None), flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with a_machine() as machine:
        machine.backend.prepare()
        yield machine


@contextlib.contextmanager
def a_crowd(most: int, shared_mib: int) -> Iterator[int]:
    """A process with children that share its memory."""
    command = [sys.executable, "-S", "-E", "-c", CROWD, str(most), str(shared_mib)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as crowd:
        try:
            assert crowd.stdout is not None
            assert crowd.stdout.readline()
            yield crowd.pid
        finally:
            os.killpg(crowd.pid, signal.SIGKILL)


def begin(source: str, *arguments: str) -> None:
    """In a worker: run a program that nobody waits for."""
    command = [sys.executable, "-S", "-E", "-c", source, *arguments]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def running(mark: str) -> list[int]:
    """The processes that were started with a mark, and their forks."""
    found = []
    for entry in Path("/proc").glob("[1-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def test_however_many_children_there_are_all_are_seen_and_killed() -> None:
    with a_crowd(900, 0) as crowd:
        found = kernel.descendants(crowd)
        assert len(found) == 900
        assert len(kernel.descendants(crowd, 100)) > 100
        kernel.kill_descendants(crowd)
        until(lambda: not any(map(is_alive, found)))


def test_who_forks_as_fast_as_it_is_killed_ends_with_its_cluster(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    with cluster.client() as client:
        client.submit(begin, ROAMING_LINES, "400", cluster.request).result()
        until(lambda: len(running(cluster.request)) > 400)
        cluster.delete()
        cluster.ended(1)
        assert not running(cluster.request)


def test_who_forks_as_fast_as_it_is_killed_does_not_outlive_its_keeper(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    with cluster.client() as client:
        client.submit(begin, ROAMING_LINES, "100", cluster.request).result()
        until(lambda: len(running(cluster.request)) > 100)
        os.kill(cluster.keeper_pid(1), signal.SIGKILL)
        cluster.ended(1)
        until(lambda: not running(cluster.request))


def test_too_many_processes_at_once_end_a_worker_and_are_told(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)
    with cluster.client() as client:
        client.submit(begin, CROWD, "600", "0").result()
        ended = cluster.ended(1)
    assert ended.cause is Cause.KILLED
    assert ended.detail == f"more than {MOST_PROCESSES} processes at once"


def test_nobody_gets_a_lease_on_the_log_that_its_keeper_opens(machine: Machine) -> None:
    cluster = machine.cluster(workers=1)

    def lease() -> None:
        log = os.open("/proc/self/fd/1", os.O_RDONLY)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        fcntl.fcntl(log, fcntl.F_SETLEASE, fcntl.F_RDLCK)

    with cluster.client() as client, pytest.raises(BlockingIOError):
        client.submit(lease, retries=0).result()


@pytest.mark.parametrize("how", ["alive", "a zombie"])
def test_who_traces_a_process_of_another_cluster_does_not_keep_it(machine: Machine, how: str) -> None:
    cluster = machine.cluster(workers=1)
    cluster.ready()
    command = [sys.executable, "-S", "-E", "-c", HOLD, str(cluster.pid(1)), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tracer:
        try:
            assert tracer.stdout is not None
            assert tracer.stdout.readline() == b"0\n"
            cluster.delete()
            assert cluster.ended(1).cause is Cause.STOPPED
        finally:
            tracer.kill()


def test_a_process_gets_no_socket_to_its_keeper_that_could_carry_open_files(machine: Machine) -> None:
    cluster = machine.cluster(workers=-1)
    cluster.start([1])  # without a Dask scheduler it waits for one
    folder = Path(f"/proc/{cluster.pid(1)}/fd")
    until(lambda: (folder / "0").readlink() == Path(os.devnull))
    assert not [entry for entry in folder.iterdir() if str(entry.readlink()).startswith("socket:")]


def test_page_tables_are_memory_too(machine: Machine) -> None:
    cluster = machine.cluster(workers=1, memory=300 * MIB)

    def spread() -> None:
        import ctypes  # noqa: PLC0415 - in the worker

        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        Path("/proc/self/comm").write_text("\nVmPTE:\t0 kB\n")  # a name that is no line of its own
        readable, private_anonymous_unreserved, no_huge_pages = 1, 0x4022, 15
        size = 160 * GIB
        start = libc.mmap(None, size, readable, private_anonymous_unreserved, -1, 0)
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), no_huge_pages)
        for place in range(start, start + size, 2 * MIB):  # the same page of zeros in a table of its own each time
            ctypes.string_at(place, 1)
        time.sleep(30)

    with cluster.client() as client:
        future = client.submit(spread, retries=0)
        ended = cluster.ended(1)
        del future
    assert ended.cause is Cause.MEMORY


def test_exact_sums_of_many_who_share_memory_cost_a_tenth_of_a_core_at_most() -> None:
    with a_crowd(300, 100) as crowd:
        family = [crowd, *kernel.descendants(crowd)]
        meter = _Meter(2 * GIB, None)
        began, others = time.perf_counter(), of_other_threads()
        passed, cost = 0.0, 0.0
        # The first sum is worked out at once, however long it takes; then it rests for ten times as long.
        while passed < 2 or (passed < 30 and (meter.peak_bytes == 0 or cost >= passed / 4)):
            assert meter.sample(family) is None
            time.sleep(0.1)
            passed, cost = time.perf_counter() - began, of_other_threads() - others
        assert meter.peak_bytes > 100 * MIB
        assert cost < passed / 4


def of_other_threads() -> float:
    return time.process_time() - time.thread_time()


def test_work_that_a_tenant_holds_up_is_waited_for_a_moment_only() -> None:
    let_go, aside = threading.Event(), kernel.Aside()

    def held_up() -> None:
        let_go.wait(30)

    assert aside.begin(held_up)
    assert aside.seconds() > 0
    assert not aside.begin(let_go.set)
    let_go.set()
    until(lambda: aside.begin(let_go.clear))
    assert aside.seconds() == 0


def test_memory_of_which_the_exact_sum_is_held_up_counts_in_full() -> None:
    let_go, meter = threading.Event(), _Meter(MIB, None)

    def held_up() -> None:
        let_go.wait(30)

    assert meter._sums.begin(held_up)
    assert meter.sample([os.getpid()]) is None
    meter._sums._began -= LONGEST_SUM_SECONDS
    assert meter.sample([os.getpid()]) is not None
    let_go.set()
