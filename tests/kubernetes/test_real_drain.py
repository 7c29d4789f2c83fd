"""A node that is drained while Dask computes on it: workers leave with their data, and no task runs twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.centers import RealCenter, a_center, until
from tests.kubernetes import images
from tests.kubernetes.clients import ClientPods
from tests.kubernetes.conftest import remove_places
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.node import Node, real_node
from tests.kubernetes.test_center import running
from tests.kubernetes.test_real_node import SITE

HEAD: Final = {"millicores": 350, "memory": 256 * 2**20}
LARGE: Final = {"millicores": 900, "memory": 256 * 2**20}
"""Of two workers and a head this large, one node of two cores has room for the head and one worker."""
TASKS: Final = 80
PROGRAM: Final = f"""
import time
from collections import Counter

def slow(number):
    time.sleep(0.25)
    return number

def executions(dask_scheduler):
    log = dask_scheduler.transition_log
    return Counter(str(one[0]) for one in log if (one[1], one[2]) == ("processing", "memory"))

client.wait_for_workers(2, timeout=60)
futures = client.map(slow, range({TASKS}))
while sum(future.done() for future in futures) < 10:
    time.sleep(0.1)
print("begun", flush=True)
while len(client.scheduler_info()["workers"]) > 1:
    time.sleep(0.1)
results = client.gather(futures)
counted = client.run_on_scheduler(executions)
print(json.dumps([sum(results), len(counted), max(counted.values())]))
"""


@pytest.fixture
def center(
    started_plane: ControlPlane, node: Node, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealCenter]:
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(kubeconfig=started_plane.admin, image=images.DASK.reference))
    labels = {"haidang/pool": "main"}
    with (
        real_node(started_plane, tmp_path_factory.mktemp("second"), labels, number=2) as second,
        a_center(tmp_path, None, "--site", str(site)) as center,
    ):
        both = [node.name, second.name]
        until(lambda: [one["id"] for one in center.call("GET", "/v1/nodes")["items"]] == both)
        yield center
        remove_places(started_plane)


def test_a_drained_worker_moves_its_results_and_nothing_is_computed_again(
    center: RealCenter, started_plane: ControlPlane
) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision", worker=LARGE, head=HEAD, workers={"min": 2, "max": 2})
    center.wait(token, request, running)
    pods = started_plane.wire.get(f"/api/v1/pods?labelSelector=haidang/request={request}")["items"]
    on = {pod["metadata"]["labels"]["haidang/ordinal"]: pod["spec"]["nodeName"] for pod in pods}
    (leaving,) = [ordinal for ordinal, place in on.items() if place != on["0"]]
    connection = center.call("GET", f"/v1/clusters/{request}/connection", token=token)
    clients = ClientPods(started_plane.wire, "haidang-vmu", images.DASK.reference, connection)
    answers: list[object] = []
    computing = threading.Thread(target=lambda: answers.append(clients.answer("computes", PROGRAM)))
    computing.start()
    until(lambda: "begun" in clients.said("computes"))
    selector = ("--pod-selector=haidang/role=worker", "--delete-emptydir-data", "--timeout=50s")
    started_plane.kubectl("drain", on[leaving], *selector)
    computing.join()
    started_plane.kubectl("uncordon", on[leaving])
    assert answers == [[sum(range(TASKS)), TASKS, 1]], json.dumps(answers)
    path = f"/v1/requests/{request}/events?limit=100"
    told = center.call("GET", path, token=token, Accept="application/json")["items"]
    (end,) = [one["details"] for one in told if one["kind"] == "process_ended"]
    assert (end["process"], end["cause"]) == (f"h-{request}-{leaving}-1", "exited")
