"""What is double or left alone after a center is killed at any moment of a start, again and again."""

import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from backends.kube import reading
from benchmarks import kube
from benchmarks.figures import Measured, percentile

KILLS: Final = 100
CREATIONS: Final = 1000
AT_ONCE: Final = 50
WORKERS: Final = 3
LONGEST_START_SECONDS: Final = 0.5
RESYNC_SECONDS: Final = 2.0
_SEED: Final = 20_261_126
_KINDS: Final = ("pods", "configmaps", "secrets", "services")
_BEFORE, _AMID, _AFTER = "before its first pod", "before all its pods were let go", "after"


@dataclass(slots=True, kw_only=True)
class Killed:
    """What came of starts during which the center was killed; `hit` says how far each had come."""

    recoveries: list[float] = field(default_factory=list)
    doubles: int = 0
    hit: Counter[str] = field(default_factory=Counter)


def measure() -> Measured:
    """Kill it during a hundred starts; then start a thousand clusters and look whether each is what it says."""
    kube.enter("kube-kills")
    chance = random.Random(_SEED)  # noqa: S311 - it chooses moments
    with kube.a_kube_center() as center:
        center.wait(center.submit(WORKERS), _runs)
        killed = _kill(center, chance)
        _end_all(center)
        orphans = _left(center)
        wrong = sum(_create(center) for _ in range(0, CREATIONS, AT_ONCE))
    slow = sum(seconds > 2 * RESYNC_SECONDS for seconds in killed.recoveries)
    rows = (
        ("", "how many", "of", "must be"),
        ("pods that lived twice", str(killed.doubles), str(KILLS), "0"),
        ("objects left alone", str(orphans), str(KILLS), "0"),
        ("recoveries later than two resyncs", str(slow), str(KILLS), "0"),
        ("clusters in a wrong phase", str(wrong), str(CREATIONS), "0"),
        *((f"  killed {stage}", str(killed.hit[stage]), str(KILLS), "") for stage in (_BEFORE, _AMID, _AFTER)),
        ("  seconds to recover, p50", f"{percentile(killed.recoveries, 50):.1f}", "", ""),
        ("  seconds to recover, longest", f"{max(killed.recoveries):.1f}", "", ""),
    )
    return Measured(value=float(killed.doubles + orphans + slow + wrong), table=rows)


def _kill(center: kube.KubeCenter, chance: random.Random) -> Killed:
    """Kill the center during start after start; each is looked at once the center is back and the cluster runs."""
    killed = Killed()
    for _ in range(KILLS):
        with kube.Bound(center.plane) as bound:
            request = center.submit(WORKERS)
            time.sleep(chance.random() * LONGEST_START_SECONDS)
            center.center.kill()
            killed.hit[_stage(center, request)] += 1
            center.center.start()
            killed.recoveries.append(_seconds_until_it_runs(center, request))
            lived = Counter(name for name in bound.names.values() if request in name)
        killed.doubles += sum(count - 1 for count in lived.values()) + max(0, len(lived) - WORKERS - 1)
        center.cancel(request)
    return killed


def _stage(center: kube.KubeCenter, request: str) -> str:
    """Return how far a start had come that nobody goes on with."""
    pods = center.pods(request)
    if not pods:
        return _BEFORE
    return _AFTER if sum(not reading.is_gated(pod) for pod in pods) == WORKERS + 1 else _AMID


def _seconds_until_it_runs(center: kube.KubeCenter, request: str) -> float:
    began = time.monotonic()
    try:
        center.wait(request, _runs)
    except AssertionError:  # it ran out of patience
        return math.inf
    return time.monotonic() - began


def _create(center: kube.KubeCenter) -> int:
    """Start and end some clusters at once; return how many are not, by their pods, what the center says they are."""
    with ThreadPoolExecutor(8) as pool:
        requests = list(pool.map(center.submit, [1] * AT_ONCE))
        with suppress(TimeoutError):
            kube.until(lambda: all(map(_runs, _placed(center))))
        wrong = _wrong_while_they_run(center, requests)
        list(pool.map(center.cancel, requests))
    _end_all(center)
    states = Counter(str(center.center.call("GET", f"/v1/requests/{one}")["state"]) for one in requests)
    return wrong + AT_ONCE - states["ended"]


def _wrong_while_they_run(center: kube.KubeCenter, requests: Sequence[str]) -> int:
    """Return of how many the center does not say that they run, or too few pods do."""
    said = {one["id"]: one["phase"] for one in _placed(center)}
    running = Counter(
        pod["metadata"]["labels"][kube.OURS] for pod in center.pods() if pod["status"].get("phase") == "Running"
    )
    return sum((said.get(one), running[one]) != ("running", 2) for one in requests)  # a head and a worker


def _end_all(center: kube.KubeCenter) -> None:
    """End every cluster, as far as that succeeds."""
    for request in _placed(center):
        center.cancel(request["id"])
    with suppress(TimeoutError):
        kube.until(lambda: not _placed(center))
        kube.until(lambda: not center.pods())


def _left(center: kube.KubeCenter) -> int:
    """Return how many objects there still are of clusters that have ended, once Kubernetes' collector had its time."""
    with suppress(TimeoutError):
        kube.until(lambda: not _objects(center))
    return _objects(center)


def _objects(center: kube.KubeCenter) -> int:
    lists = (center.plane.wire.get(f"/api/v1/{kind}?labelSelector={kube.OURS}") for kind in _KINDS)
    return sum(len(one["items"]) for one in lists)


def _placed(center: kube.KubeCenter) -> list[dict[str, str]]:
    items: list[dict[str, str]] = center.center.call("GET", "/v1/requests?state=placed&limit=200")["items"]
    return items


def _runs(seen: dict[str, str]) -> bool:
    return seen["phase"] == "running"
