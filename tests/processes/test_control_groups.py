"""Where control groups were delegated to the center, the kernel itself is the wall of a process's memory."""

import mmap
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from haidang.inside import cgroups

from registry.resources import MIB
from scheduler.observed import Cause
from tests.machine import a_machine
from tests.ordered import until

MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def delegated() -> Iterator[Path]:
    """A folder of memory groups of this test's own, which only root can make."""
    parent = MEMORY_GROUPS if MEMORY_GROUPS.exists() else MEMORY_GROUPS.parent
    folder = parent / f"haidang-test-{os.getpid()}"
    try:
        folder.mkdir()
        if parent != MEMORY_GROUPS:
            (folder / "cgroup.subtree_control").write_text("+memory")
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    folder.rmdir()


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of version 2, which has its switch whatever is delegated to it."""
    parents = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]
    parent = next((parent for parent in parents if (parent / "cgroup.controllers").exists()), parents[-1])
    folder = parent / f"haidang-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    folder.rmdir()


def test_all_members_of_a_group_are_killed_at_once(group: Path) -> None:
    members = group / "cgroup.procs"
    command = ["sh", "-c", "read begin; while sleep 0.01; do sleep 60 & done"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as first:
        assert first.stdin is not None
        members.write_text(str(first.pid))
        first.stdin.write(b"now\n")
        first.stdin.close()
        until(lambda: len(members.read_text().split()) > 5)
        cgroups.kill(group)
        until(lambda: not members.read_text())


def test_memory_that_no_sample_sees_ends_the_process_at_its_limit(delegated: Path) -> None:
    with a_machine(cgroup=delegated) as machine:
        cluster = machine.cluster(workers=1, memory=300 * MIB)

        def greed() -> int:
            hidden = os.memfd_create("hidden")
            os.ftruncate(hidden, 600 * MIB)
            with mmap.mmap(hidden, 600 * MIB) as memory:
                for start in range(0, 600 * MIB, MIB):
                    memory[start] = 1
                    memory[start : start + MIB] = bytes(MIB)
            return 1

        with cluster.client() as client:
            future = client.submit(greed, retries=0)
            ended = cluster.ended(1)
            del future
        assert ended.cause is Cause.MEMORY
