"""How long somebody at an idle center waits for the first result, stage by stage, beside Dask's own ways."""

import threading
import time
from collections.abc import Mapping
from statistics import median
from typing import Final

from haidang import Client

from benchmarks import peers
from benchmarks.center import POOL, a_center, until_ended
from benchmarks.figures import SPREAD_HEAD, Measured, spread

RUNS: Final = 20
STAGED_RUNS: Final = 9
COMMAND_RUNS: Final = 3
REST_SECONDS: Final = 0.3
WORKERS: Final = (peers.WORKERS, peers.WORKERS)
STAGES: Final = ("accepted", "placed", "head ready", "workers ready", "connected", "result")


def measure() -> Measured:
    """Ask in turn for one of our clusters and for one of theirs, then look at the stages of ours."""
    ours: list[float] = []
    theirs: list[float] = []
    with a_center() as center, center.person("Asker") as user:
        _answered(user)  # the first of all makes connections and reads what is read once
        for _ in range(RUNS):
            ours.append(_answered(user))
            theirs.append(peers.local_cluster_seconds())
        stages = [_stages(user) for _ in range(STAGED_RUNS)]
    by_commands = [peers.commands_seconds() for _ in range(COMMAND_RUNS)]
    rows = (
        SPREAD_HEAD,
        spread("Haidang", ours, ours),
        spread("LocalCluster, no TLS", theirs, ours),
        spread("dask scheduler + worker, no TLS", by_commands, ours),
        # Each by the time since the request was sent.
        *(spread(f"  {stage}", [heard[stage] for heard in stages]) for stage in STAGES),
    )
    return Measured(value=median(ours), table=rows)


def _answered(user: Client) -> float:
    """Return the seconds from asking to the result, and leave the center idle."""
    began = time.perf_counter()
    with user.cluster(pool=POOL, workers=WORKERS, memory="1GiB", walltime="10m", progress=False) as cluster:
        peers.answer(cluster.client)
        took = time.perf_counter() - began
    until_ended(user, cluster.id)
    time.sleep(REST_SECONDS)
    return took


def _stages(user: Client) -> Mapping[str, float]:
    """Return when each stage was reached, as a second listener hears of it, which costs all of them a little."""
    heard: dict[str, float] = {}
    began = time.perf_counter()

    def reached(stage: str) -> None:
        heard[stage] = time.perf_counter() - began

    request = user.submit(pool=POOL, workers=WORKERS, memory="1GiB", walltime="10m")
    reached("accepted")

    def listen() -> None:
        for event in user.events(request.id):
            if event.kind == "placed":
                reached("placed")
            elif event.kind == "process_ready":
                reached("workers ready" if "head ready" in heard else "head ready")
            elif event.kind == "running":
                return

    listener = threading.Thread(target=listen)
    listener.start()
    cluster = user.connect(request.id, progress=False)
    reached("connected")
    peers.answer(cluster.client)
    reached("result")
    listener.join()
    cluster.close()
    user.cancel(request.id)
    until_ended(user, request.id)
    time.sleep(REST_SECONDS)
    return heard
