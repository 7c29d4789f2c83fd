"""How soon a gang of a hundred workers is on its nodes, all or nothing."""

from typing import Final

from benchmarks import kube
from benchmarks.by_hand import calls_alone_seconds
from benchmarks.figures import SPREAD_HEAD, Measured, spread
from benchmarks.kube_burst import once

WORKERS: Final = 100


def measure() -> Measured:
    """Ask for one large cluster, a few times; then make the same objects with nothing but calls."""
    kube.enter("kube-gang")
    with kube.a_kube_center() as center:
        once(center, 1, 1)
        ours = [once(center, 1, WORKERS) for _ in range(3)]
        theirs = calls_alone_seconds(center.plane, 1, WORKERS)
    rows = (SPREAD_HEAD, spread("Haidang", ours, ours), spread("calls alone", theirs, ours))
    return Measured(value=sorted(ours)[len(ours) // 2], table=rows)
