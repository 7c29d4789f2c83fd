"""The published logs that benchmarks run, which lie outside the repository, and their reference schedules."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from simulator.swf import RigidJob, read_log, rigid_jobs

FOLDER: Final = Path(os.environ.get("HAIDANG_TRACES") or Path(__file__).parents[2] / "shared" / "traces")


class NoLogsError(Exception):
    """A log or a schedule is not there; the message says where it was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLog:
    """One log: what its reference schedules are called after, its file, and the processors of the machine."""

    name: str
    file: str
    processors: int

    def jobs(self) -> tuple[RigidJob, ...]:
        """Return its jobs as the reference schedules count them.

        Raises:
            NoLogsError: it is not there.
        """
        return _jobs(there(self.file), self.processors)

    def schedule(self, backfill: str) -> Path:
        """Return where its reference schedule of FCFS with a kind of backfill lies.

        Raises:
            NoLogsError: it is not there.
        """
        return there(f"schedules/{self.name}.FCFS.{backfill}.csv.gz")


KTH: Final = PublishedLog(name="KTH-SP2", file="KTH-SP2-1996-2.1-cln.swf.gz", processors=100)
LOGS: Final[Mapping[str, PublishedLog]] = {
    log.name: log
    for log in (
        KTH,
        PublishedLog(name="Theta", file="ALCF-Theta-2023.norm.swf.gz", processors=4392),
        PublishedLog(name="Mira", file="ALCF-Mira-2018.norm.swf.gz", processors=49152),
        PublishedLog(name="MetaC-wagap", file="MetaCentrum-wagap-2013.norm.swf.gz", processors=2176),
        PublishedLog(name="COARE", file="DOST-ASTI-COARE-2020-cln.swf.gz", processors=1728),
        PublishedLog(name="Lublin-1", file="lublin_256.swf.gz", processors=256),
        PublishedLog(name="Lublin-2", file="lublin_256_new2.swf.gz", processors=256),
    )
}


def there(name: str) -> Path:
    """Return where a file of the folder of logs lies.

    Raises:
        NoLogsError: it is not there.
    """
    if not (FOLDER / name).is_file():
        raise NoLogsError(f"{name} is not in {FOLDER}; HAIDANG_TRACES names the folder of published logs")
    return FOLDER / name


@cache
def _jobs(path: Path, processors: int) -> tuple[RigidJob, ...]:
    return rigid_jobs(read_log(path), processors)
