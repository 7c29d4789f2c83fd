"""How the warm process and the keepers make, lock, write and remove run folders."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from haidang.inside import runs

LARGEST_LOG_BYTES: Final = 8 * 1024 * 1024
KEPT_LOG_BYTES: Final = 1024 * 1024
MOST_FOLDERS: Final = 10_000
_READING: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITING: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def write(folder: int, file: str, fields: Mapping[str, object], *, durable: bool = False) -> None:
    """Replace a file of an open run folder as a whole; `durable` returns when it is on disk.

    Only ends need that. What else a crash of the machine can take back is the last seconds before it, and with them
    went the process.
    """
    fresh = f".{file}.{os.getpid()}"
    descriptor = os.open(fresh, _WRITING | os.O_TRUNC, 0o600, dir_fd=folder)
    try:
        os.write(descriptor, json.dumps(fields, separators=(",", ":")).encode())
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(fresh, file, src_dir_fd=folder, dst_dir_fd=folder)
    if durable:
        os.fsync(folder)


def lock(folder: int) -> int | None:
    """Return a held lock of an open run folder, None while its keeper holds it."""
    descriptor = os.open(runs.LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def start_fields(start: runs.Start) -> dict[str, object]:
    """Return a start as `runs.parse_start` reads it."""
    return {**asdict(start), "name": str(start.name)}


def end_fields(end: runs.End) -> dict[str, object]:
    """Return an end as `runs.parse_end` reads it."""
    return {**asdict(end), "detail": _printable(end.detail)}


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)[: runs.LARGEST_DETAIL]


def make(data: Path, start: runs.Start) -> tuple[int, int] | None:
    """Make the run folder of a process that will be forked next and return it and its lock, both open.

    It appears under its name as a whole and locked. None if the name is taken: whoever has it is left as it is.
    """
    hidden = data / "run" / f".{start.name}.{start.uid}"
    hidden.mkdir(mode=0o700)
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, hidden, ignore_errors=True)
        folder = os.open(hidden, _READING)
        undo.callback(os.close, folder)
        held = lock(folder)
        assert held is not None  # nobody else knows this folder
        undo.callback(os.close, held)
        write(folder, runs.START, start_fields(start))
        try:
            # A folder is replaced by this only if it is empty, and a run folder never is.
            hidden.rename(data / "run" / str(start.name))
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return None
            raise
        undo.pop_all()
        return folder, held


def open_log(folder: int, unix_uid: int | None) -> tuple[int, int]:
    """Return the log of an open run folder twice: for its keeper, and for who writes it.

    The writer owns it, so that /dev/stdout can be opened again. An owner can also take a lease on a file, for which
    whoever opens it has to wait, or execute it; neither as long as it is open for writing, as the keeper's stays.
    """
    kept = os.open(runs.LOG, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    given = os.open(runs.LOG, _WRITING | os.O_APPEND, 0o600, dir_fd=folder)
    if unix_uid is not None:
        os.fchown(kept, unix_uid, unix_uid)
    return kept, given


def is_too_long(log: int) -> bool:
    """Tell whether a log has to be trimmed."""
    return os.fstat(log).st_size > LARGEST_LOG_BYTES


def trim_log(log: int) -> None:
    """Keep only the last part of a log that grew too large; lines written meanwhile may be lost.

    It waits for its turn: whoever writes gigabytes at once has the file for as long as that takes.
    """
    with contextlib.suppress(OSError):
        if is_too_long(log):
            tail = _tail(log)
            os.ftruncate(log, 0)
            os.pwrite(log, tail, 0)


def _tail(log: int) -> bytes:
    return os.pread(log, KEPT_LOG_BYTES, max(0, os.fstat(log).st_size - KEPT_LOG_BYTES))


def seal_log(folder: int, log: int) -> None:
    """Keep the last part of what an ended process printed, where none of its tenant's open files reaches it."""
    with contextlib.suppress(OSError):
        fresh = os.open(f".{runs.LOG}", _WRITING | os.O_TRUNC, 0o600, dir_fd=folder)
        try:
            os.write(fresh, _tail(log))
        finally:
            os.close(fresh)
        os.rename(f".{runs.LOG}", runs.LOG, src_dir_fd=folder, dst_dir_fd=folder)


def seal_lost_log(folder: int) -> None:
    """Seal the log of a process that lost its keeper; one that somebody holds a lease on is dropped, not waited for."""
    try:
        log = os.open(runs.LOG, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(runs.LOG, dir_fd=folder)
        return
    try:
        seal_log(folder, log)
    finally:
        os.close(log)


def clear(home: Path, *, seconds: float) -> None:
    """Remove a folder that a tenant filled, as far as that goes in a time.

    Nothing in it is opened but folders: what else it may be, opening could wait for somebody, removing does not.
    However deeply its folders are nested, no more than two of them are open: each hands its own up to the first.
    `shutil.rmtree` goes down by recursion, which ends at a thousand levels with an error that is no OSError.
    """
    patience = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        top = os.open(home, _READING)
        try:
            while _clear_level(top, patience) and time.monotonic() < patience:
                pass
        finally:
            os.close(top)
        home.rmdir()


def _clear_level(top: int, patience: float) -> bool:
    """Remove the files of an open folder, and its folders after moving theirs up; tell whether there may be more."""
    found = _remove_files(top, patience)
    more = len(found) == MOST_FOLDERS
    for name in found:
        with contextlib.suppress(OSError):
            folder = os.open(name, _READING, dir_fd=top)
            try:
                for inner in _remove_files(folder, patience):
                    os.rename(inner, os.urandom(16).hex(), src_dir_fd=folder, dst_dir_fd=top)
                    more = True
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    return more


def _remove_files(folder: int, patience: float) -> list[str]:
    """Remove what is no folder from an open folder, one after the other as it is listed, and return what is one."""
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if time.monotonic() > patience or len(found) == MOST_FOLDERS:
                break
            try:
                os.unlink(entry.name, dir_fd=folder)
            except IsADirectoryError:
                found.append(entry.name)
            except OSError:
                continue
    return found


def sweep_unfinished(data: Path) -> None:
    """Remove folders that were never finished or are being removed, except those still worked on."""
    for entry in (data / "run").glob(".*"):
        with contextlib.suppress(OSError):
            folder = os.open(entry, _READING)
            try:
                held = lock(folder)
                if held is not None:
                    shutil.rmtree(entry, ignore_errors=True)
                    os.close(held)
            finally:
                os.close(folder)


def ring(data: Path) -> None:
    """Wake whoever wants to know that something changed; nobody listening is no error."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.settimeout(0)
        with runs.socket_path(data, runs.BELL) as path:
            bell.sendto(b"!", path)
