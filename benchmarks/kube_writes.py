"""How many calls a cluster costs the API server: to start it, to end it, and while nobody uses it."""

import time
from collections import Counter
from typing import Final

from benchmarks import kube
from benchmarks.figures import Measured

WORKERS: Final = 20
IDLE_CLUSTERS: Final = 100
IDLE_SECONDS: Final = 120.0
PER_HOUR: Final = 200
_READS: Final = frozenset({"get", "list", "watch"})
_FOLLOWING: Final = frozenset({"list", "watch"})


def measure() -> Measured:
    """Count from the API server's own log what the center's account calls."""
    kube.enter("kube-writes")
    pods = WORKERS + 1
    with kube.a_kube_center() as center:
        warm = center.submit(1)
        center.wait(warm, _runs)
        center.cancel(warm)
        kube.until(lambda: not center.pods())
        began = _called(center)
        request = center.submit(WORKERS)
        center.wait(request, _runs)
        started = _called(center)
        center.cancel(request)
        kube.until(lambda: not center.pods())
        center.wait(request, lambda seen: bool(seen["state"] == "ended"))
        ended = _called(center)
        idle = _idle(center)
    start, end = _writes(began, started), _writes(started, ended)
    parts = (start / (4 + 2 * pods), end / (1 + pods), idle / PER_HOUR)
    rows = (
        ("", "calls", "allowed", "part"),
        (f"writes to start {pods} pods", str(start), str(4 + 2 * pods), f"{parts[0]:.2f}"),
        (f"writes to end {pods} pods", str(end), str(1 + pods), f"{parts[1]:.2f}"),
        (f"an hour of {IDLE_CLUSTERS} idle clusters", f"{idle:.0f}", str(PER_HOUR), f"{parts[2]:.2f}"),
    )
    return Measured(value=max(parts), table=rows)


def _idle(center: kube.KubeCenter) -> float:
    """Return the calls an hour, besides lists and watches, while clusters run that nobody uses."""
    requests = [center.submit(1) for _ in range(IDLE_CLUSTERS)]
    running = "/v1/requests?state=placed&limit=200"
    kube.until(lambda: sum(map(_runs, center.center.call("GET", running)["items"])) == len(requests), 300)
    time.sleep(5.0)
    before = _called(center)
    time.sleep(IDLE_SECONDS)
    calls = _called(center) - before
    return sum(count for (verb, _), count in calls.items() if verb not in _FOLLOWING) * 3600 / IDLE_SECONDS


def _writes(before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]) -> int:
    return sum(count for (verb, _), count in (after - before).items() if verb not in _READS)


def _called(center: kube.KubeCenter) -> Counter[tuple[str, str]]:
    """Return how often the center's account has called what so far, by verb and kind."""
    time.sleep(1.0)  # the log is written behind the answers
    return Counter((call["verb"], call.get("objectRef", {}).get("resource", "")) for call in center.plane.calls())


def _runs(seen: dict[str, object]) -> bool:
    return seen["phase"] == "running"
