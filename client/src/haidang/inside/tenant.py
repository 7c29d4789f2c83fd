"""What a fork of the keeper does to become a tenant's process: other uid, own folder, own chance, one Dask process."""

import contextlib
import gc
import json
import os
import random
import resource
import select
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from haidang.inside import kernel, roles, runs

HEAD_PATIENCE_SECONDS: Final = 60.0
LARGEST_CREDENTIALS_BYTES: Final = 64 * 1024
_LARGEST_ADDRESS: Final = 256

# Exit statuses of our own, so that the keeper can say what happened.
NO_HEAD: Final = 71
FAILED: Final = 72
OPEN_DOOR: Final = 73
_MEANINGS: Final = {
    NO_HEAD: "its Dask scheduler did not appear",
    FAILED: "it failed to start or to go on; its log says why",
    OPEN_DOOR: "it listened where no certificate is demanded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a process is told about its part in a cluster, and the descriptors that it takes over from its keeper.

    It tells its keeper its ports and hears where its Dask scheduler is by a pipe each: a socket would also carry open
    files to the keeper, of which some take their time to be closed.
    """

    name: runs.ProcessName
    head: runs.ProcessName
    home: Path
    start: runs.Start
    keeper: int
    log: int
    credentials: int
    tells: int
    hears: int


def most_threads() -> int:
    """Return how many threads all processes of one uid may have together, and those of one control group.

    A core has use for some, and one project must not take the numbers of all others: those for the whole machine.
    """
    return min(max(1024, 32 * (os.cpu_count() or 1)), kernel.most_processes() // 16)


def meaning(status: int) -> str:
    """Return what an exit status says in words, nothing for one that says nothing."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-status).name}"
    return _MEANINGS.get(status, f"exit status {status}" if status else "")


def become(part: Part) -> NoReturn:
    """Be this process until it ends. Never returns: what is further up the stack belongs to the keeper."""
    status = FAILED
    try:
        _take_leave(part)
        _enter(part)
        _reseed()
        status = _run(part)
    except roles.OpenDoorError:
        sys.excepthook(*sys.exc_info())
        status = OPEN_DOOR
    except BaseException:  # noqa: BLE001 - a fork has nobody to raise to
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _take_leave(part: Part) -> None:
    """Close what is the keeper's, above all its lock, and stop reacting as it does."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(part.log, 1)
    os.dup2(part.log, 2)
    kept = sorted((2, part.credentials, part.tells, part.hears))
    for below, above in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(below + 1, above)


def _enter(part: Part) -> None:
    with contextlib.suppress(OSError):
        # When the machine runs out of memory, a tenant's process goes before the center's.
        Path("/proc/self/oom_score_adj").write_text("500")
    os.sched_setaffinity(0, part.start.cpus)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the cluster's key
    os.umask(0o077)
    os.chdir(part.home)
    os.environ.update(HOME=str(part.home), TMPDIR=str(part.home), PWD=str(part.home))
    if (unix_uid := part.start.unix_uid) is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (most_threads(), most_threads()))
        os.setgroups([])
        os.setresgid(unix_uid, unix_uid, unix_uid)
        os.setresuid(unix_uid, unix_uid, unix_uid)
        kernel.show_own_entries()
        os.environ.update(USER=f"u{unix_uid}", LOGNAME=f"u{unix_uid}")  # no such user is listed anywhere
    kernel.gain_no_rights()
    kernel.die_with_parent(part.keeper)
    kernel.rename_process("dask-head" if part.name == part.head else "dask-worker")
    gc.enable()


def _reseed() -> None:
    """Draw from the system what the fork would otherwise share with all its siblings."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _run(part: Part) -> int:
    identity = roles.Identity(
        name=str(part.name),
        cores=max(1, -(-part.start.cores_milli // 1000)),
        memory_bytes=part.start.memory_bytes,
        home=part.home,
        papers=_papers(part.credentials),
    )
    tell = partial(_tell, part.tells)
    if part.name == part.head:
        roles.be_head(identity, tell)
        return 0
    address = _heard(part.hears)
    if not address:
        return NO_HEAD
    roles.be_worker(identity, address, tell)
    return 0


def _tell(pipe: int, comm: int, state: int | None) -> None:
    os.write(pipe, json.dumps({"comm": comm, "state": state}).encode())
    os.close(pipe)


def _heard(pipe: int) -> str:
    """Return where the Dask scheduler is, nothing if the keeper does not say it in time."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    content = os.read(pipe, _LARGEST_ADDRESS) if poll.poll(HEAD_PATIENCE_SECONDS * 1000) else b""
    os.close(pipe)
    return content.decode()


def _papers(descriptor: int) -> roles.Papers:
    """Read the credentials that came as an open file: they passed through no other process's memory."""
    content = os.pread(descriptor, LARGEST_CREDENTIALS_BYTES, 0)
    os.close(descriptor)
    fields = json.loads(content)
    return roles.Papers(
        authority=fields["authority"], certificate=fields["certificate"], key=fields["key"], token=fields["token"]
    )
