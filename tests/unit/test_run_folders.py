"""What is believed of a run folder: regular files of ours, small and whole, and nothing that merely looks like one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from haidang.inside import cgroups, folders, runs
from haidang.inside.runs import RejectedError

NAME = f"h-{'a' * 26}-0-1"
START = runs.Start(
    name=runs.ProcessName.parse(NAME),
    uid="0" * 32,
    started=1_800_000_000_000,
    boot_id="00000000-0000-0000-0000-000000000000",
    cores_milli=1000,
    memory_bytes=2**30,
    cpus=(0,),
    unix_uid=None,
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "run").mkdir()
    made = folders.make(tmp_path, START)
    assert made is not None
    yield tmp_path
    for descriptor in made:
        os.close(descriptor)


def test_a_folder_appears_locked_and_whole(place: Path) -> None:
    assert runs.names(place) == (NAME,)
    run = runs.read_run(place, NAME)
    assert run == runs.Run(start=START, pulse=None, doors=None, end=None)
    folder = runs.open_folder(place, NAME)
    assert folder is not None
    assert folders.lock(folder) is None
    os.close(folder)
    assert stat.S_IMODE((place / "run" / NAME).stat().st_mode) == 0o700


def a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def a_second_name(file: Path) -> None:
    file.with_name("elsewhere").hardlink_to(file)


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def too_large(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b" " * runs.LARGEST_FILE_BYTES)


def somebody_elses(file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file, 12345, 12345)
    else:
        file.chmod(0)


def another_processs(file: Path) -> None:
    file.write_text(file.read_text().replace(NAME, NAME[:-1] + "2"))


def nothing(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    "forge", [a_link, a_second_name, a_pipe, a_folder, too_large, somebody_elses, another_processs, nothing]
)
def test_a_forged_start_is_rejected(place: Path, forge: Callable[[Path], None]) -> None:
    forge(place / "run" / NAME / runs.START)
    with pytest.raises(RejectedError):
        runs.read_run(place, NAME)


def test_a_link_to_a_folder_is_rejected(place: Path) -> None:
    (place / "run" / NAME).rename(place / "elsewhere")
    (place / "run" / NAME).symlink_to(place / "elsewhere")
    with pytest.raises(RejectedError):
        runs.read_run(place, NAME)


@pytest.mark.parametrize("name", ["../run", ".", "h-a-0-1", NAME + "/", NAME + "\n", f"h-{'A' * 26}-0-1"])
def test_only_names_of_processes_are_looked_at(place: Path, name: str) -> None:
    with pytest.raises(RejectedError):
        runs.read_run(place, name)


def test_what_is_no_process_is_not_listed(place: Path) -> None:
    for name in (f".{NAME}.0", "lost+found", NAME + "0" * 9):
        (place / "run" / name).mkdir()
    assert runs.names(place) == (NAME,)
    assert runs.names(place / "nowhere") == ()


def test_a_removed_folder_is_gone_as_a_whole_and_removing_it_again_is_no_error(place: Path) -> None:
    for _ in range(2):
        runs.remove(place, NAME)
        assert list((place / "run").iterdir()) == []
        assert runs.read_run(place, NAME) is None


def test_a_tenants_folder_is_removed_whatever_lies_in_it_and_nothing_outside(tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    for folder in (outside, home / "inner" / "deeper"):
        folder.mkdir(parents=True)
    (outside / "kept").touch()
    for folder in (home, home / "inner"):
        os.mkfifo(folder / "pipe")
        (folder / "link").symlink_to(outside)
    (home / "leased").touch()
    with (home / "leased").open() as leased:
        fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        folders.clear(home, seconds=20)
    assert not home.exists()
    assert (outside / "kept").exists()


def test_a_folder_that_takes_too_long_is_left(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / "home" / f"{number}").mkdir(parents=True)
        (tmp_path / "home" / f"{number}.txt").touch()
    folders.clear(tmp_path / "home", seconds=0)
    assert len(list((tmp_path / "home").iterdir())) > 190
    folders.clear(tmp_path / "home", seconds=20)
    assert not (tmp_path / "home").exists()


def test_more_folders_than_are_remembered_at_once_are_removed_too(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    for number in range(folders.MOST_FOLDERS + 1):
        (tmp_path / "home" / str(number)).mkdir()
    folders.clear(tmp_path / "home", seconds=20)
    assert not (tmp_path / "home").exists()


def test_a_log_that_lost_its_keeper_is_sealed_unless_somebody_makes_its_reader_wait(place: Path) -> None:
    folder = runs.open_folder(place, NAME)
    assert folder is not None
    log = place / "run" / NAME / runs.LOG
    folders.seal_lost_log(folder)
    assert not log.exists()
    kept, given = folders.open_log(folder, None)
    with os.fdopen(kept), os.fdopen(given, "w") as writer:
        writer.write("the last words")
    before = log.stat().st_ino
    folders.seal_lost_log(folder)
    assert log.read_text() == "the last words"
    assert log.stat().st_ino != before
    with log.open("r+") as leased, deaf_to(signal.SIGIO):
        fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        folders.seal_lost_log(folder)
    assert not log.exists()
    os.close(folder)


@contextlib.contextmanager
def deaf_to(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    yield
    signal.signal(number, before)


def test_ringing_where_nobody_listens_is_no_error(place: Path) -> None:
    folders.ring(place)


def test_a_socket_may_lie_deeper_than_its_path_may_be_long(tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["a" * 60] * 4)
    deep.mkdir(parents=True)
    with runs.socket_path(deep, runs.SOCKET) as path:
        assert len(path) < 108
        Path(path).touch()
    assert (deep / runs.SOCKET).exists()


def test_a_control_group_limits_tells_its_peak_and_whether_the_kernel_killed(tmp_path: Path) -> None:
    """Against plain files: what is written and read is the kernel's interface of version 2."""
    (tmp_path / "cgroup.controllers").touch()
    group = cgroups.make(tmp_path, NAME, 1000, 99)
    assert group is not None
    assert (group / "memory.max").read_text() == "1000"
    assert (group / "memory.oom.group").read_text() == "1"
    assert (group / "pids.max").read_text() == "99"
    cgroups.enter(group)
    assert (group / "cgroup.procs").read_text() == str(os.getpid())
    assert cgroups.peak_bytes(group) == 0
    assert not cgroups.was_out_of_memory(group)
    (group / "memory.peak").write_text("999\n")
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert cgroups.peak_bytes(group) == 999
    assert cgroups.was_out_of_memory(group)


def test_without_a_delegated_folder_there_is_no_control_group() -> None:
    assert cgroups.make(None, NAME, 1000, 99) is None
    assert cgroups.make(Path("/proc/nowhere"), NAME, 1000, 99) is None
    cgroups.enter(None)
    assert cgroups.peak_bytes(None) == 0
    assert not cgroups.was_out_of_memory(None)
    cgroups.kill(None)
    cgroups.remove(None)


def test_a_start_lies_in_the_past() -> None:
    assert START.started // 1000 < time.time() + 10**9
