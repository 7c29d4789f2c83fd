"""How many clusters one machine answers at once, and what memory each takes, beside LocalClusters."""

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final, TypeVar

from haidang import Client, Cluster

from benchmarks import machine, peers
from benchmarks.center import POOL, RunningCenter, a_center, until_ended
from benchmarks.figures import Measured

CLUSTERS: Final = 60
PEERS: Final = 6
WORKERS: Final = (peers.WORKERS, peers.WORKERS)
_MIB: Final = 2**20

Q = TypeVar("Q")
A = TypeVar("A")


def measure() -> Measured:
    """Have sixty people ask at once, then start a few LocalClusters at once."""
    with a_center() as center, ExitStack() as stack:
        people = [stack.enter_context(center.person(f"Asker {number}")) for number in range(CLUSTERS)]
        _give_back(people[0], _answered(people[0]))
        seconds, memory = _ours(center, people)
    peer_seconds, peer_memory = _theirs()
    per_peer = peer_seconds / PEERS
    rows = (
        ("", "clusters", "s", f"s for {CLUSTERS}", "MiB each"),
        ("Haidang", str(CLUSTERS), f"{seconds:.1f}", f"{seconds:.1f}", f"{memory / _MIB:.0f}"),
        (
            "LocalCluster, no TLS",
            str(PEERS),
            f"{peer_seconds:.1f}",
            f"{per_peer * CLUSTERS:.1f}",
            f"{peer_memory / _MIB:.0f}",
        ),
    )
    return Measured(value=seconds, table=rows)


def _ours(center: RunningCenter, people: list[Client]) -> tuple[float, float]:
    """Return the seconds until everybody has an answer, and the memory of one cluster."""
    seconds, clusters = _at_once(_answered, people)
    memory = machine.own_bytes(center.cluster_processes()) / len(clusters)
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(_give_back, people, clusters))
    return seconds, memory


def _theirs() -> tuple[float, float]:
    """Return the same of LocalClusters; their Dask schedulers live in this process and are not counted as memory."""
    peers.local_cluster_seconds()  # the first one imports
    logging.disable()  # what silences one cluster's farewells lets another's speak
    with ExitStack() as stack:
        before = machine.children()
        seconds, _ = _at_once(_answered_peer, [stack] * PEERS)
        return seconds, machine.own_bytes(machine.children() - before) / PEERS


def _at_once(act: Callable[[Q], A], things: Iterable[Q]) -> tuple[float, list[A]]:
    """Do something to all things at once; return the seconds until all were done, and what came of each."""
    everything = list(things)
    with ThreadPoolExecutor(len(everything)) as pool:
        began = time.perf_counter()
        answers = list(pool.map(act, everything))
        return time.perf_counter() - began, answers


def _answered(user: Client) -> Cluster:
    cluster = user.cluster(pool=POOL, workers=WORKERS, memory="1GiB", walltime="10m", progress=False)
    peers.answer(cluster.client)
    return cluster


def _answered_peer(stack: ExitStack) -> None:
    _, client = stack.enter_context(peers.local_cluster())
    peers.answer(client)


def _give_back(user: Client, cluster: Cluster) -> None:
    cluster.close()
    until_ended(user, cluster.id)
