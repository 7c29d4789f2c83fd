"""What clusters of the same size cost by Dask's own means."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Final

from distributed import Client, LocalCluster

WORKERS: Final = 2
PATIENCE_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0


def answer(client: Client) -> None:
    """Have one task computed."""
    assert client.submit(sum, (1, 2), pure=False).result() == 3  # noqa: PLR2004


@contextmanager
def local_cluster() -> Iterator[tuple[LocalCluster, Client]]:
    """Give a cluster of processes of this machine and a client.

    It has what makes it quick: no dashboard, and open ports, which spare it certificates.
    """
    with (
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=CRITICAL
        ) as cluster,
        closing(Client(cluster, set_as_default=False)) as client,  # it may be closed by another thread
    ):
        yield cluster, client


def local_cluster_seconds() -> float:
    """Return how long a LocalCluster takes until its first result."""
    began = time.perf_counter()
    with local_cluster() as (_, client):
        answer(client)
        return time.perf_counter() - began


def commands_seconds() -> float:
    """Return how long `dask scheduler` and `dask worker`, started together, take until their first result."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="haidang-benchmark-")))
        place = folder / "scheduler.json"
        began = time.perf_counter()
        stack.enter_context(
            _running("scheduler", "--scheduler-file", str(place), "--port", "0", "--dashboard-address", ":0")
        )
        for _ in range(WORKERS):
            options = ("--nthreads", "1", "--no-dashboard", "--local-directory", str(folder))
            stack.enter_context(_running("worker", "--scheduler-file", str(place), *options))
        _until_written(place)
        with Client(scheduler_file=str(place), timeout=PATIENCE_SECONDS) as client:
            client.wait_for_workers(WORKERS, timeout=PATIENCE_SECONDS)
            answer(client)
            return time.perf_counter() - began


def _until_written(place: Path) -> None:
    """Return when a Dask scheduler has said where it is: a client would look only once in a while."""
    patience = time.perf_counter() + PATIENCE_SECONDS
    while not place.exists():
        if time.perf_counter() > patience:
            raise TimeoutError("the Dask scheduler did not start")
        time.sleep(0.005)


@contextmanager
def _running(part: str, *options: str) -> Iterator[None]:
    command = [sys.executable, "-m", "dask", part, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
