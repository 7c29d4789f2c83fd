"""How the warm process and the keepers make, lock, write and remove run folders."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from haidang.inside import runs

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


def open_log(folder: int, unix_uid: int | None) -> int:
    """Return the log of an open run folder, owned by who writes it so that /dev/stdout can be opened again."""
    descriptor = os.open(runs.LOG, _WRITING | os.O_APPEND, 0o600, dir_fd=folder)
    if unix_uid is not None:
        os.fchown(descriptor, unix_uid, unix_uid)
    return descriptor


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
