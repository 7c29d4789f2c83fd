"""The run folder's contract: what its files are called, what they say, and how far they are believed.

    DATA/                      0700, the center's
      warm.lock warm.socket warm.log
      bell                     a datagram socket of whoever wants to be woken; absent when nobody does
      run/NAME/
        lock                   held by the keeper of the process until the end is on disk: free means dead
        start.json             written by the warm process before the fork
        pulse.json             written by the keeper every five seconds: alive at that time, with so much used
        doors.json             the ports that the process says it listens on: a claim, checked for shape only
        end.json               written by the keeper, or by the warm process for a keeper that is gone
        log                    what the process prints

Nothing in here can be written by the uid that runs tenants' code, which cannot even reach DATA; its claims come
through its keeper. Without root there is one uid, so whatever is read here is checked before it is believed.
"""

import contextlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self, TypeVar

from haidang.inside.fields import Fields
from haidang.inside.fields import RejectedError as RejectedError  # noqa: PLC0414 - whoever reads folders catches it

LOCK: Final = "lock"
SOCKET: Final = "warm.socket"
BELL: Final = "bell"
START: Final = "start.json"
PULSE: Final = "pulse.json"
DOORS: Final = "doors.json"
END: Final = "end.json"
LOG: Final = "log"

LARGEST_FILE_BYTES: Final = 16 * 1024
LARGEST_DETAIL: Final = 500
HEAD_ORDINAL: Final = 0

_NAME: Final = re.compile(r"h-([a-z2-7]{26})-(0|[1-9][0-9]{0,3})-(0|[1-9][0-9]{0,3})")
_UID: Final = re.compile(r"[0-9a-f]{32}")
_BOOT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
T = TypeVar("T")


class Cause(StrEnum):
    """How a process ended, as far as anybody saw."""

    EXITED = "exited"
    KILLED = "killed"
    MEMORY = "memory"
    STOPPED = "stopped"
    NEVER_STARTED = "never_started"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessName:
    """The name of one incarnation of one slot of a cluster; ordinal 0 is the Dask scheduler."""

    request: str
    ordinal: int
    incarnation: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name that a text spells.

        Raises:
            RejectedError: it spells none.
        """
        if not (match := _NAME.fullmatch(text)):
            raise RejectedError("not the name of a process")
        return cls(request=match[1], ordinal=int(match[2]), incarnation=int(match[3]))

    def __str__(self) -> str:
        return f"h-{self.request}-{self.ordinal}-{self.incarnation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A process that no later one with the same number can be mistaken for: `ticks` is when it began, since boot."""

    pid: int
    ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What was known before the fork. `started` is in milliseconds; `unix_uid` None means the center's own."""

    name: ProcessName
    uid: str
    started: int
    boot_id: str
    cores_milli: int
    memory_bytes: int
    cpus: tuple[int, ...]
    unix_uid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The last time the keeper saw its process alive, and what it and its descendants had used until then."""

    at: int
    keeper: Life
    process: Life
    cpu_milliseconds: int
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The loopback ports a ready process claims: Dask's own, and for a head the one of its state."""

    comm: int
    state: int | None

    @property
    def address(self) -> str:
        """Return Dask's address; nothing but a port number of it can be chosen by the claimant."""
        return f"tls://127.0.0.1:{self.comm}"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a process ended. `status` is its exit status, negative for a signal; None is what nobody could measure."""

    ended: int
    cause: Cause
    detail: str
    status: int | None
    cpu_milliseconds: int | None
    peak_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run folder as it was read: one life of one process."""

    start: Start
    pulse: Pulse | None
    doors: Doors | None
    end: End | None


# Reading


_DETAIL: Final = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{0,{LARGEST_DETAIL}}}")
_CAUSE: Final = re.compile("|".join(Cause))


def parse_start(content: bytes) -> Start:
    """Return what a start file says, or raise RejectedError."""
    fields = Fields(content)
    return Start(
        name=ProcessName.parse(fields.text("name", _NAME)),
        uid=fields.text("uid", _UID),
        started=fields.moment("started"),
        boot_id=fields.text("boot_id", _BOOT),
        cores_milli=fields.amount("cores_milli"),
        memory_bytes=fields.amount("memory_bytes"),
        cpus=fields.wholes("cpus", 4096),
        unix_uid=fields.optional("unix_uid", fields.unix_uid),
    )


def parse_pulse(content: bytes) -> Pulse:
    """Return what a pulse file says, or raise RejectedError."""
    fields = Fields(content)
    return Pulse(
        at=fields.moment("at"),
        keeper=_life(fields.part("keeper")),
        process=_life(fields.part("process")),
        cpu_milliseconds=fields.amount("cpu_milliseconds"),
        peak_bytes=fields.amount("peak_bytes"),
    )


def _life(fields: Fields) -> Life:
    return Life(pid=fields.whole("pid", 2, 1 << 22), ticks=fields.amount("ticks"))


def parse_doors(content: bytes) -> Doors:
    """Return the ports that a doors file, or the message of a process to its keeper, names, or raise RejectedError."""
    fields = Fields(content)
    return Doors(comm=fields.port("comm"), state=fields.optional("state", fields.port))


def parse_end(content: bytes) -> End:
    """Return what an end file says, or raise RejectedError."""
    fields = Fields(content)
    return End(
        ended=fields.moment("ended"),
        cause=Cause(fields.text("cause", _CAUSE)),
        detail=fields.text("detail", _DETAIL),
        status=fields.optional("status", lambda field: fields.whole(field, -255, 255)),
        cpu_milliseconds=fields.optional("cpu_milliseconds", fields.amount),
        peak_bytes=fields.optional("peak_bytes", fields.amount),
    )


def read(folder: int, file: str) -> bytes | None:
    """Return a small regular file of ours in an open folder, None if it is not there.

    Raises:
        RejectedError: it is a link, a device, somebody else's, shared with another folder, or too large.
    """
    try:
        # O_NONBLOCK: opening a pipe that somebody put here must not wait for a writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RejectedError(f"{file} cannot be opened: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
            raise RejectedError(f"{file} is not a file of ours")
        content = os.read(descriptor, LARGEST_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_FILE_BYTES:
        raise RejectedError(f"{file} is too large")
    return content


def open_folder(data: Path, name: str, *, inside: str = "run") -> int | None:
    """Return an open descriptor of a folder of ours under `run`, None if it is not there, or raise RejectedError."""
    try:
        folder = os.open(data / inside / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RejectedError(f"{name} is not a folder: {error.strerror}") from error
    if os.fstat(folder).st_uid != os.geteuid():
        os.close(folder)
        raise RejectedError(f"{name} is not a folder of ours")
    return folder


def read_part(folder: int, file: str, parse: Callable[[bytes], T]) -> T | None:
    """Return one parsed file of an open run folder, None if it is not there, or raise RejectedError."""
    content = read(folder, file)
    return None if content is None else parse(content)


def read_run(data: Path, name: str) -> Run | None:
    """Return what a run folder says, None if there is none.

    Raises:
        RejectedError: a file does not keep the contract, or the start is another process's.
    """
    ProcessName.parse(name)
    folder = open_folder(data, name)
    if folder is None:
        return None
    try:
        start = read_part(folder, START, parse_start)
        if start is None or str(start.name) != name:
            raise RejectedError(f"{name} has no start of its own")
        return Run(
            start=start,
            pulse=read_part(folder, PULSE, parse_pulse),
            doors=read_part(folder, DOORS, parse_doors),
            end=_end_after(start, read_part(folder, END, parse_end)),
        )
    finally:
        os.close(folder)


def _end_after(start: Start, end: End | None) -> End | None:
    if end is not None and end.ended < start.started:
        raise RejectedError(f"{start.name} ends before it starts")
    return end


def names(data: Path) -> tuple[str, ...]:
    """Return the names of all run folders in order; what is hidden is not finished or already being removed."""
    try:
        entries = [entry.name for entry in (data / "run").iterdir()]
    except FileNotFoundError:
        return ()
    return tuple(sorted(entry for entry in entries if _NAME.fullmatch(entry)))


def remove(data: Path, name: str) -> None:
    """Remove a run folder; it disappears as a whole, what is left of it after a crash is hidden and swept."""
    with contextlib.suppress(FileNotFoundError):
        hidden = data / "run" / f".{name}.{time.time_ns()}"
        (data / "run" / name).rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


@contextlib.contextmanager
def socket_path(data: Path, file: str) -> Iterator[str]:
    """Give a path to a socket in DATA that fits into the 107 bytes such paths may have, however deep DATA lies."""
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{file}"
    finally:
        os.close(folder)


# Orders: what the center writes to the warm process, one message each; files with credentials travel beside it

LARGEST_ORDER_BYTES: Final = 64 * 1024
MOST_PROCESSES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One process to start; `head` is the Dask scheduler it belongs to, its own name for a head."""

    name: ProcessName
    head: ProcessName
    cores_milli: int
    memory_bytes: int
    unix_uid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOrder:
    """Start processes; a name that exists already is left as it is. One open file of credentials comes with each."""

    processes: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """End processes now; a name that does not exist is no error."""

    names: tuple[ProcessName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOrder:
    """End the warm process itself; what it started goes on."""


Order = StartOrder | StopOrder | LeaveOrder


def order_message(order: Order) -> bytes:
    """Return an order as the warm process reads it."""
    return json.dumps(_order_fields(order), separators=(",", ":")).encode()


def _order_fields(order: Order) -> dict[str, object]:
    match order:
        case StartOrder(processes=processes):
            return {"start": [_wanted_fields(process) for process in processes]}
        case StopOrder(names=stopped):
            return {"stop": [str(name) for name in stopped]}
        case LeaveOrder():
            return {"leave": True}


def _wanted_fields(process: Wanted) -> dict[str, object]:
    return {
        "name": str(process.name),
        "head": str(process.head),
        "cores_milli": process.cores_milli,
        "memory_bytes": process.memory_bytes,
        "unix_uid": process.unix_uid,
    }


def parse_order(content: bytes) -> Order:
    """Return the order that a message spells, or raise RejectedError."""
    fields = Fields(content)
    if fields.has("start"):
        return StartOrder(processes=tuple(map(_wanted, fields.parts("start", MOST_PROCESSES))))
    if fields.has("stop"):
        return StopOrder(names=tuple(map(ProcessName.parse, fields.texts("stop", MOST_PROCESSES))))
    if fields.has("leave"):
        return LeaveOrder()
    raise RejectedError("not an order")


def _wanted(fields: Fields) -> Wanted:
    return Wanted(
        name=ProcessName.parse(fields.text("name", _NAME)),
        head=ProcessName.parse(fields.text("head", _NAME)),
        cores_milli=fields.amount("cores_milli"),
        memory_bytes=fields.amount("memory_bytes"),
        unix_uid=fields.optional("unix_uid", fields.unix_uid),
    )
