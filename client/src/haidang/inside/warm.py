"""The warm process: it imports once what a Dask process needs, and forks one in milliseconds.

    python -m haidang.inside.warm --data DATA --scratch SCRATCH [--cgroup DIR] [--import NAME ...]

One per environment, started by the center and outliving it. It has no threads, no event loop of asyncio and no secret:
credentials arrive as open files that it hands on unread. A second one started by mistake finds the first one's lock
and leaves.
"""

import argparse
import fcntl
import gc
import importlib
import logging
import os
import ssl
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# Threads of numerical libraries are counted when they are imported; a worker has as many as it has cores of Dask's.
ONE_THREAD: Final = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS")
}
# The first five cut an idle cluster from 7 % to 1 % of a core. The last two leave a head one harmless page beside the
# center's door, and a worker none: its pages, which are never served, would each cost it imports.
DASK_SETTINGS: Final = {
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.scheduler.http.routes": ["distributed.http.health"],
    "distributed.worker.http.routes": [],
}
# What Dask imports late, each of which would cost every fork its milliseconds.
EAGER_IMPORTS: Final = ("numpy", "numpy.random", "tornado.platform.asyncio", "distributed.http.health")
ALREADY_SERVED: Final = 3

log = logging.getLogger("haidang.warm")


def main() -> int:
    """Serve orders until told to leave; return the exit status."""
    options = _options()
    data: Path = options.data
    _own(data, 0o700)
    _own(data / "run", 0o700)
    if (lock := _lock(data)) is None:
        return ALREADY_SERVED
    # As root each project's uid has to pass through to the folders that are its own, and lists nothing.
    _own(options.scratch, 0o711)
    _detach(data)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    os.environ.update(ONE_THREAD)
    _import_eagerly(options.imports)

    from haidang.inside import forks  # noqa: PLC0415 - what it imports has to find the settings above

    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every page of every fork
    forks.Forks(data=data, scratch=options.scratch, cgroup=options.cgroup, lock=lock).serve()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=_absolute, required=True, help="folder of sockets, locks and run folders")
    parser.add_argument("--scratch", type=_absolute, required=True, help="folder in which processes leave their files")
    parser.add_argument("--cgroup", type=_absolute, help="control groups that were delegated to the center")
    parser.add_argument("--import", dest="imports", action="append", default=[], help="a module to import beforehand")
    return parser.parse_args()


def _absolute(path: str) -> Path:
    return Path(path).absolute()


def _own(folder: Path, mode: int) -> None:
    """Make a folder with exactly this mode, or refuse one that is somebody else's or a link to it."""
    folder.mkdir(parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise SystemExit(f"{folder} is not a folder of ours")
    folder.chmod(mode)


def _lock(data: Path) -> int | None:
    descriptor = os.open(data / "warm.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return descriptor


def _detach(data: Path) -> None:
    """Leave the starter, its session, folder and output: a pipe that is kept open here would never close there."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    nothing = os.open("/dev/null", os.O_RDONLY)
    printed = os.open(data / "warm.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    for taken, given in ((0, nothing), (1, printed), (2, printed)):
        os.dup2(given, taken)
    os.close(nothing)
    os.close(printed)


def _import_eagerly(more: Iterable[str]) -> None:
    import dask.config  # noqa: PLC0415 - not before the threads of numerical libraries are set

    dask.config.set(DASK_SETTINGS)
    for name in (*EAGER_IMPORTS, *more):
        try:
            importlib.import_module(name)
        except ImportError:
            log.info("%s is not in this environment", name)

    from distributed.versions import get_versions  # noqa: PLC0415 - not before the settings
    from tornado import netutil  # noqa: PLC0415

    # What each fork would do when it first meets another process: scan the environment (35 ms), and read the
    # machine's certificates (42 ms), which Tornado does for every context, also those that trust none of them.
    get_versions()
    getattr(netutil, "_client_ssl_defaults", ssl.create_default_context)()


if __name__ == "__main__":
    sys.exit(main())
