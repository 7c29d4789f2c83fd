"""A center that is killed, interrupted and started again goes on where it was, and bills everything once."""

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.security import Security

from tests.centers import RealCenter, a_center


@pytest.fixture(params=["sqlite", "postgresql"])
def center(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealCenter]:
    database = None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    with a_center(tmp_path, database) as center:
        yield center


def running(request: dict[str, Any]) -> bool:
    return bool(request["phase"] == "running")


def has_ended(request: dict[str, Any]) -> bool:
    return bool(request["state"] == "ended")


def connected(center: RealCenter, token: str, request: str) -> Client:
    access = center.call("GET", f"/v1/clusters/{request}/connection", token=token)
    security = Security(
        tls_ca_file=access["authority"],
        tls_client_cert=access["certificate"],
        tls_client_key=access["key"],
        require_encryption=True,
    )
    return Client(access["address"], security=security)


def test_a_killed_center_finds_its_cluster_computing_and_bills_it_once(center: RealCenter) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    before = center.wait(token, request, running)
    with connected(center, token, request) as dask:
        total = dask.submit(sum, range(1000))
        center.kill()
        assert total.result() == 499500
        center.start()
        after = center.wait(token, request, running)
        assert [one["started"] for one in after["processes"]] == [one["started"] for one in before["processes"]]
        assert dask.submit(sum, [1, 2]).result() == 3
        center.kill()
        center.start()
        center.call("POST", f"/v1/requests/{request}/cancel", token=token)
    ended = center.wait(token, request, has_ended)
    entries = center.call("GET", "/v1/ledger?project=vmu.vision&limit=100")["items"]
    assert max(Counter(entry["key"] for entry in entries).values()) == 1
    used = sum(entry["usage"]["core_milliseconds"] for entry in entries if entry["request"] == request)
    longest = sum(500 * (one["released"] - one["started"]) for one in ended["processes"])
    assert 0 <= used <= longest
    held = Counter[str]()
    for entry in entries:
        held[entry["source"]] -= entry["micro_credits"]
        held[entry["target"]] += entry["micro_credits"]
    assert [amount for account, amount in held.items() if account.endswith(":held")] == [0]


def test_what_was_cancelled_while_nobody_served_ends_at_the_next_start(center: RealCenter) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    center.call("POST", f"/v1/requests/{request}/cancel", token=token)
    center.kill()
    center.start()
    assert center.wait(token, request, has_ended)["end"] == "cancelled"


def test_an_interrupted_center_leaves_in_good_order_and_its_clusters_go_on(center: RealCenter) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    with connected(center, token, request) as dask:
        assert center.interrupt() == 0
        assert dask.submit(sum, [1, 2]).result() == 3
    center.start()
    assert running(center.call("GET", f"/v1/requests/{request}", token=token))


def test_a_worker_that_dies_is_replaced(center: RealCenter) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    with connected(center, token, request) as dask:
        pid = next(iter(dask.run(os.getpid).values()))
        os.kill(pid, signal.SIGKILL)
        center.wait(token, request, lambda seen: any(one["name"].endswith("-2") for one in seen["processes"]))
        center.wait(token, request, running)
        dask.wait_for_workers(2, timeout=30)
        assert dask.submit(sum, [1, 2]).result() == 3


def test_a_start_that_cannot_listen_says_where_and_leaves_the_token_to_the_next(tmp_path: Path) -> None:
    center = RealCenter(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--port", "--metrics-port"):
            said = center.refuses_to_start(option, str(port))
            assert f"cannot listen at port {port} of 127.0.0.1 ({option}): Address already in use" in said
    assert "token" in center.start()
    center.clean_up()


def test_a_center_with_another_key_says_which_file_is_wrong_and_touches_nothing(center: RealCenter) -> None:
    token = center.admit("vmu", "vision")
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    center.kill()
    with center.another_key():
        assert "sealing.key is not the key" in center.refuses_to_start()
    center.start()
    assert running(center.wait(token, request, running))
