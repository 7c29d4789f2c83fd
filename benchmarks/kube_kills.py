"""What is double or left alone after a center is killed at any moment of a start, again and again."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks import kube
from benchmarks.figures import Measured, percentile

KILLS: Final = 100
CREATIONS: Final = 1000
AT_ONCE: Final = 50
WORKERS: Final = 3
LONGEST_START_SECONDS: Final = 1.2
RESYNC_SECONDS: Final = 2.0
_SEED: Final = 20_261_126


def measure() -> Measured:
    """Kill it during a hundred starts; then start a thousand clusters and look whether each is what it says."""
    kube.enter("kube-kills")
    chance = random.Random(_SEED)  # noqa: S311 - it chooses moments
    with kube.a_kube_center() as center:
        center.wait(center.submit(WORKERS), _runs)
        recoveries, doubles = _kill(center, chance)
        _end_all(center)
        orphans = len(center.pods()) + len(
            center.plane.wire.get(f"/api/v1/configmaps?labelSelector={kube.OURS}")["items"]
        )
        wrong = _create(center)
    slow = sum(seconds > 2 * RESYNC_SECONDS for seconds in recoveries)
    rows = (
        ("", "how many", "of", "must be"),
        ("pods that lived twice", str(doubles), str(KILLS), "0"),
        ("objects left alone", str(orphans), str(KILLS), "0"),
        ("recoveries later than two resyncs", str(slow), str(len(recoveries)), "0"),
        ("clusters in a wrong phase", str(wrong), str(CREATIONS), "0"),
        (f"seconds to recover: p50 {percentile(recoveries, 50):.1f}, longest", f"{max(recoveries):.1f}", "", ""),
    )
    return Measured(value=float(doubles + orphans + slow + wrong), table=rows)


def _kill(center: kube.KubeCenter, chance: random.Random) -> tuple[list[float], int]:
    """Return how long each start took after the center was back, and how many names were borne twice at a time."""
    recoveries: list[float] = []
    doubles = 0
    for _ in range(KILLS):
        with kube.Bound(center.plane) as bound:
            request = center.submit(WORKERS)
            time.sleep(chance.random() * LONGEST_START_SECONDS)
            center.center.kill()
            center.center.start()
            back = time.monotonic()
            center.wait(request, _runs)
            recoveries.append(time.monotonic() - back)
            lived = Counter(name for name in bound.names.values() if request in name)
        doubles += sum(count - 1 for count in lived.values()) + max(0, len(lived) - WORKERS - 1)
        center.cancel(request)
    return recoveries, doubles


def _create(center: kube.KubeCenter) -> int:
    """Return how many of many clusters are not, by their pods, what the center says they are."""
    wrong = 0
    with ThreadPoolExecutor(8) as pool:
        for _ in range(0, CREATIONS, AT_ONCE):
            requests = list(pool.map(center.submit, [1] * AT_ONCE))
            for request in requests:
                center.wait(request, _runs)
            running = Counter(
                pod["metadata"]["labels"][kube.OURS] for pod in center.pods() if pod["status"].get("phase") == "Running"
            )
            wrong += sum(running[request] != 2 for request in requests)  # noqa: PLR2004 - a head and a worker
            list(pool.map(center.cancel, requests))
            _end_all(center)
            wrong += sum(_state(center, request) != "ended" for request in requests)
    return wrong


def _end_all(center: kube.KubeCenter) -> None:
    for request in center.center.call("GET", "/v1/requests?state=placed&limit=200")["items"]:
        center.cancel(request["id"])
    kube.until(lambda: not center.center.call("GET", "/v1/requests?state=placed&limit=200")["items"])
    kube.until(lambda: not center.pods())


def _state(center: kube.KubeCenter, request: str) -> str:
    return str(center.center.call("GET", f"/v1/requests/{request}", token=center.token)["state"])


def _runs(seen: dict[str, object]) -> bool:
    return seen["phase"] == "running"
