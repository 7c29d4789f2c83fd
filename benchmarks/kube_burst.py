"""How soon thirty clusters that are asked for at once have all their pods on nodes."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks import kube
from benchmarks.by_hand import calls_alone_seconds
from benchmarks.figures import Measured

CLUSTERS: Final = 30
WORKERS: Final = 5


def measure() -> Measured:
    """Ask for all of them at once, a few times; then make the same objects with nothing but calls."""
    kube.enter("kube-burst")
    with kube.a_kube_center() as center:
        once(center, 1, 1)  # the namespace of the institution is made meanwhile
        ours = [once(center, CLUSTERS, WORKERS) for _ in range(3)]
        theirs = calls_alone_seconds(center.plane, CLUSTERS, WORKERS)
    best, bound = min(ours), min(theirs)
    rows = (
        ("", "pods", "best s", "all runs s", "against calls alone"),
        ("Haidang", str(CLUSTERS * (WORKERS + 1)), f"{best:.2f}", _runs(ours), f"{best / bound:.1f} x"),
        ("calls alone", str(CLUSTERS * (WORKERS + 1)), f"{bound:.2f}", _runs(theirs), ""),
    )
    return Measured(value=sorted(ours)[len(ours) // 2], table=rows)


def once(center: kube.KubeCenter, clusters: int, workers: int) -> float:
    """Return the seconds from the first request until every pod of all is bound, and take them away."""
    with kube.Bound(center.plane) as bound, ThreadPoolExecutor(min(clusters, 16)) as pool:
        began = time.monotonic()
        requests = list(pool.map(center.submit, [workers] * clusters))
        kube.until(lambda: len(bound.at) == clusters * (workers + 1))
        seconds = max(bound.at.values()) - began
    for request in requests:
        center.wait(request, lambda seen: bool(seen["phase"] == "running"))
        center.cancel(request)
    kube.until(lambda: not center.pods())
    return seconds


def _runs(seconds: list[float]) -> str:
    return " ".join(f"{one:.2f}" for one in seconds)
