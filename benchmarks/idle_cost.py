"""What a cluster costs that nobody uses, beside a LocalCluster with Dask's own settings."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks import machine, peers
from benchmarks.center import POOL, a_center
from benchmarks.figures import Measured

SECONDS: Final = 20.0
REST_SECONDS: Final = 5.0


def measure() -> Measured:
    """Watch one of ours and one of theirs over the same seconds."""
    with a_center() as center, center.person("Asker") as user, _idle_peer() as peer:
        empty = _shares({"center": {center.pid}})
        request = user.submit(pool=POOL, workers=(peers.WORKERS, peers.WORKERS), memory="1GiB", walltime="10m")
        user.wait(request.id, progress=False)
        time.sleep(REST_SECONDS)
        cluster = center.cluster_processes()
        shares = _shares(
            {
                "cluster": cluster,
                "center": {center.pid},
                "warm": center.warm_processes(),
                "peer": machine.in_session(peer),
            }
        )
    ours = shares["cluster"]
    rows = (
        ("", "% of a core", "against Haidang"),
        (f"Haidang's cluster: {len(cluster)} processes", f"{ours:.2f}", "1.0 x"),
        ("LocalCluster, default settings", f"{shares['peer']:.2f}", f"{shares['peer'] / ours:.1f} x"),
        ("  the center's process meanwhile", f"{shares['center']:.2f}", ""),
        ("  the center's process with no cluster", f"{empty['center']:.2f}", ""),
        ("  the process that forks", f"{shares['warm']:.2f}", ""),
    )
    return Measured(value=ours, table=rows)


def _shares(groups: dict[str, set[int]]) -> dict[str, float]:
    """Return how much of a core, in percent, each group of processes computes for a while."""
    began = time.perf_counter()
    before = {name: machine.cpu_seconds(pids) for name, pids in groups.items()}
    time.sleep(SECONDS)
    after = {name: machine.cpu_seconds(pids) for name, pids in groups.items()}
    return {name: 100 * (after[name] - before[name]) / (time.perf_counter() - began) for name in groups}


@contextmanager
def _idle_peer() -> Iterator[int]:
    """Run a LocalCluster in a session of its own and give its number."""
    command = [sys.executable, "-m", "benchmarks.idling"]
    peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert peer.stdout is not None
        if not peer.stdout.readline():
            raise RuntimeError("the LocalCluster did not start")
        yield peer.pid
    finally:
        peer.communicate()
