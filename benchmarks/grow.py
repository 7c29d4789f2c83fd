"""How long two more workers take to join a running cluster, beside LocalCluster."""

import time
from statistics import median
from typing import Final

from distributed import Client as DaskClient
from haidang import Client

from benchmarks import peers
from benchmarks.center import POOL, a_center, until_ended
from benchmarks.figures import SPREAD_HEAD, Measured, spread

RUNS: Final = 20
LARGER: Final = 2 * peers.WORKERS
PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.002


def measure() -> Measured:
    """Grow one of our clusters and one of theirs in turn."""
    ours: list[float] = []
    theirs: list[float] = []
    with a_center() as center, center.person("Asker") as user:
        _ours(user)  # the first of all makes connections and reads what is read once
        for _ in range(RUNS):
            ours.append(_ours(user))
            theirs.append(_theirs())
    rows = (SPREAD_HEAD, spread("Haidang", ours, ours), spread("LocalCluster.scale, no TLS", theirs, ours))
    return Measured(value=median(ours), table=rows)


def _ours(user: Client) -> float:
    workers = (peers.WORKERS, LARGER)
    with user.cluster(pool=POOL, workers=workers, memory="1GiB", walltime="10m", progress=False) as cluster:
        _settle(cluster.client)
        began = time.perf_counter()
        cluster.scale(LARGER)
        took = _until(cluster.client, LARGER) - began
    until_ended(user, cluster.id)
    return took


def _theirs() -> float:
    with peers.local_cluster() as (cluster, client):
        _settle(client)
        began = time.perf_counter()
        cluster.scale(LARGER)
        return _until(client, LARGER) - began


def _settle(client: DaskClient) -> None:
    """Let a cluster get over its start."""
    peers.answer(client)
    _until(client, peers.WORKERS)
    time.sleep(0.5)


def _until(client: DaskClient, workers: int) -> float:
    """Return when the Dask scheduler knows so many workers; Dask's own `wait_for_workers` looks ten times a second."""
    patience = time.perf_counter() + PATIENCE_SECONDS
    while len(client.nthreads()) < workers:
        if time.perf_counter() > patience:
            raise TimeoutError(f"{workers} workers did not come within {PATIENCE_SECONDS:g} s")
        time.sleep(LOOK_SECONDS)
    return time.perf_counter()
