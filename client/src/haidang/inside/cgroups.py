"""Walls of the kernel around memory and threads, where a folder of control groups was delegated to the center.

Delegated means given for this, as systemd's `Delegate=yes` does: groups are not made in a tree that somebody else
runs. Both versions are spoken; a version 2 folder must have `memory` in its `cgroup.subtree_control`, and may have
`pids`. Without one the keepers' samples are the wall.
"""

import contextlib
import os
from pathlib import Path


def make(delegated: Path | None, name: str, limit_bytes: int, most_threads: int) -> Path | None:
    """Return a new group with its limits, None if nothing is delegated or it cannot be made."""
    if delegated is None:
        return None
    group = delegated / name
    try:
        group.mkdir(exist_ok=True)
        if _is_version_2(delegated):
            (group / "memory.max").write_text(str(limit_bytes))
            _try(group / "memory.swap.max", "0")
            # The tenant's processes end together: half a worker is no use to anybody.
            _try(group / "memory.oom.group", "1")
            _try(group / "pids.max", str(most_threads))
        else:
            (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
            _try(group / "memory.memsw.limit_in_bytes", str(limit_bytes))
    except OSError:
        return None
    return group


def _is_version_2(folder: Path) -> bool:
    return (folder / "cgroup.controllers").exists()


def _try(file: Path, value: str) -> None:
    with contextlib.suppress(OSError):
        file.write_text(value)


def enter(group: Path | None) -> None:
    """Put the calling process into a group."""
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def kill(group: Path | None) -> None:
    """Kill all members at once, with what they fork meanwhile, if the kernel knows how: Linux 5.14, version 2."""
    if group is not None and (switch := group / "cgroup.kill").exists():
        _try(switch, "1")


def peak_bytes(group: Path | None) -> int:
    """Return the most memory the group ever used, 0 if the kernel does not tell."""
    if group is None:
        return 0
    for file in ("memory.peak", "memory.max_usage_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            return int((group / file).read_text())
    return 0


def was_out_of_memory(group: Path | None) -> bool:
    """Tell whether the kernel killed a member for the group's limit."""
    if group is None:
        return False
    for file in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError, ValueError, StopIteration):
            lines = (group / file).read_text().splitlines()
            return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1]) > 0
    return False


def remove(group: Path | None) -> None:
    """Remove a group whose members have all ended."""
    if group is not None:
        with contextlib.suppress(OSError):
            group.rmdir()
