"""How many requests a center accepts for good, beside what the bare driver commits on the same disk."""

import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from benchmarks.center import POOL, RunningCenter, a_center
from benchmarks.databases import Database, PostgresqlMissingError, a_postgresql, a_sqlite
from benchmarks.figures import Measured, Row, percentile

CLIENTS: Final = 8
SECONDS: Final = 10.0
BOUND_SECONDS: Final = 3.0
ACCEPTED: Final = 202
MEMORY: Final = 2**30

Worker = Callable[[], Generator[None]]
"""Makes what connects at its first step and does one thing at each step after it."""

HEAD: Final = ("", "per s", "p50 ms", "p99 ms", "of the bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long each of many things took, in seconds, that were done at once for `lasted` seconds."""

    seconds: tuple[float, ...]
    lasted: float

    @property
    def per_second(self) -> float:
        """Return how many were done in a second."""
        return len(self.seconds) / self.lasted


def measure() -> Measured:
    """Measure on SQLite, then on PostgreSQL if there is one; the bound comes right before each."""
    with a_sqlite() as database:
        rows, value = _on(database)
    try:
        with a_postgresql(CLIENTS) as database:
            more, _ = _on(database)
    except PostgresqlMissingError:
        more = [("PostgreSQL is not installed here", "", "", "", "")]
    return Measured(value=value, table=[HEAD, *rows, *more])


def _on(database: Database) -> tuple[list[Row], float]:
    """Return the rows about a database, and how many requests a second a center accepts on it."""
    bound = _pace([partial(_bare_commits, database)] * database.writers, BOUND_SECONDS)
    with a_center(database.url) as center:
        # Without credits they wait: what is measured is the asking, while the loops read and answer as ever.
        project = center.project("waiting", micro_credits=0)
        tokens = [center.token(f"Asker {number}", project) for number in range(CLIENTS)]
        accepted = _pace([partial(_requests, center, token, project) for token in tokens], SECONDS)
    writers = f"{database.writers} connection{'s' * (database.writers > 1)}"
    rows = [
        _row(f"{database.name}: requests of {CLIENTS} clients", accepted, bound),
        _row(f"{database.name}: bare commits of {writers}", bound, bound),
    ]
    return rows, accepted.per_second


def _row(name: str, pace: Pace, bound: Pace) -> Row:
    milliseconds = [1000 * seconds for seconds in pace.seconds]
    middle, tail = (f"{percentile(milliseconds, percent):.1f}" for percent in (50, 99))
    return (name, f"{pace.per_second:.0f}", middle, tail, f"{100 * pace.per_second / bound.per_second:.0f} %")


def _pace(workers: Sequence[Worker], seconds: float) -> Pace:
    """Have all workers repeat what they do, from a common start until the time is over."""
    together = threading.Barrier(len(workers))
    with ThreadPoolExecutor(len(workers)) as pool:
        done = list(pool.map(partial(_work, together, seconds), workers))
    return Pace(seconds=tuple(one for taken, _ in done for one in taken), lasted=max(lasted for _, lasted in done))


def _work(together: threading.Barrier, seconds: float, worker: Worker) -> tuple[list[float], float]:
    """Return how long each thing took that one worker did, and all of them together."""
    with closing(worker()) as steps:
        next(steps)
        together.wait()
        began = last = time.perf_counter()
        taken: list[float] = []
        while last - began < seconds:
            next(steps)
            now = time.perf_counter()
            taken.append(now - last)
            last = now
        return taken, last - began


def _bare_commits(database: Database) -> Generator[None]:
    """Commit a row at each step after the first."""
    with database.connect() as commit:
        while True:
            yield
            commit()


def _requests(center: RunningCenter, token: str, project: str) -> Generator[None]:
    """Have a request accepted at each step after the first, over a connection that stays open."""
    address = urlsplit(center.url)
    shape = {"millicores": 1000, "memory": MEMORY}
    asked = {
        "project": project,
        "pool": POOL,
        # Of this class one person may leave 500 waiting, more than one client gets accepted in the time.
        "class": "normal",
        "workers": {"min": 2, "max": 2},
        "worker": shape,
        "walltime_seconds": 600,
    }
    body = json.dumps(asked)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address.netloc)) as connection:
        connection.connect()
        while True:
            yield
            key = secrets.token_urlsafe(24)
            connection.request("POST", "/v1/requests", body, {**headers, "Idempotency-Key": key})
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != ACCEPTED:
                raise RuntimeError(f"a request was not accepted: {answer.status} {told.decode()}")
