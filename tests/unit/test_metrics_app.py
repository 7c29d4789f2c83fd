"""GET /metrics answers whoever asks, in their format, and says honestly when it cannot."""

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse

import pytest

from exporters.app import Condition, MetricsServer, serve
from quotas.ledger import Usage
from registry.ids import Seconds
from tests.builders import NOW
from tests.overlapping import WELL, Overlapping, SteppedClock, a_collector
from tests.scrapes import an_entry_sum, series_of, value

HOST = "127.0.0.1"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def store() -> Overlapping:
    store = Overlapping()
    post(store, 1500)
    return store


@pytest.fixture
def server(store: Overlapping, clock: SteppedClock) -> Iterator[MetricsServer]:
    with serve(a_collector(store, clock), socket.create_server((HOST, 0)), WELL) as server:
        yield server


def post(store: Overlapping, core_milliseconds: int) -> None:
    one = store.begin()
    one.entries.append(an_entry_sum(usage=Usage(core_milliseconds=core_milliseconds)))
    store.end(one, committed=True)


def ask(server: MetricsServer, path: str = "/metrics", method: str = "GET", **headers: str) -> HTTPResponse:
    connection = HTTPConnection(HOST, server.port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): said for name, said in headers.items()})
    return connection.getresponse()


def test_a_scrape_shows_what_was_committed_by_then(server: MetricsServer, store: Overlapping) -> None:
    for used in (1.5, 4.0):
        answer = ask(server)
        assert (answer.status, answer.headers.get_content_type()) == (200, "text/plain")
        assert value(series_of(answer.read().decode()), "haidang_used_core_seconds_total") == used
        post(store, 2500)


def test_who_accepts_openmetrics_gets_it(server: MetricsServer) -> None:
    answer = ask(server, Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert answer.headers.get_content_type() == "application/openmetrics-text"
    assert answer.read().endswith(b"# EOF\n")


def test_who_accepts_less_bytes_gets_them(server: MetricsServer) -> None:
    answer = ask(server, Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert value(series_of(gzip.decompress(answer.read()).decode()), "haidang_used_core_seconds_total") == 1.5


def test_one_metric_can_be_asked_for(server: MetricsServer) -> None:
    page = ask(server, "/metrics?name[]=haidang_used_core_seconds_total").read().decode()
    assert {name for name, _ in series_of(page)} == {"haidang_used_core_seconds_total"}


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/x", "/favicon.ico"])
def test_nothing_else_is_there(server: MetricsServer, path: str) -> None:
    assert ask(server, path).status == 404


@pytest.mark.parametrize(
    ("is_well", "is_alive", "said"),
    [(True, True, ("ok", "ok")), (False, True, ("late", "ok")), (False, False, ("late", "stuck"))],
)
def test_who_is_late_is_told_apart_from_who_is_stuck(
    store: Overlapping, *, is_well: bool, is_alive: bool, said: tuple[str, str]
) -> None:
    condition = Condition(is_well=lambda: is_well, is_alive=lambda: is_alive)
    with serve(a_collector(store), socket.create_server((HOST, 0)), condition) as server:
        for path, word in zip(("/health", "/alive"), said, strict=True):
            answer = ask(server, path)
            assert (answer.status, answer.read().decode()) == (200 if word == "ok" else 503, f"{word}\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(server: MetricsServer, method: str) -> None:
    assert ask(server, method=method).status == 405


def test_while_the_store_does_not_answer_the_last_state_is_shown_with_its_age(
    server: MetricsServer, store: Overlapping, clock: SteppedClock
) -> None:
    fresh = series_of(ask(server).read().decode())
    store.answers = False
    clock.time = Seconds(NOW + 42)
    stale = series_of(ask(server).read().decode())
    assert value(stale, "haidang_snapshot_age_seconds") == 42
    assert value(stale, "haidang_used_core_seconds_total") == value(fresh, "haidang_used_core_seconds_total")
    store.answers = True
    post(store, 1000)
    again = series_of(ask(server).read().decode())
    assert value(again, "haidang_snapshot_age_seconds") == 0
    assert value(again, "haidang_used_core_seconds_total") == 2.5


def test_a_store_that_never_answered_is_no_empty_page(server: MetricsServer, store: Overlapping) -> None:
    store.answers = False
    assert ask(server).status == 503
    store.answers = True
    assert ask(server).status == 200


def test_a_client_that_says_nothing_keeps_nobody_waiting(server: MetricsServer) -> None:
    with socket.create_connection((HOST, server.port)):
        begun = time.monotonic()
        assert ask(server).status == 200
        assert time.monotonic() - begun < 5


def test_clients_that_stay_make_room_for_those_that_come(server: MetricsServer) -> None:
    with ExitStack() as stack:
        first, *_ = [stack.enter_context(socket.create_connection((HOST, server.port), 5)) for _ in range(100)]
        assert ask(server).status == 200
        assert first.recv(1) == b""


def test_a_client_that_leaves_is_no_error(server: MetricsServer, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection((HOST, server.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(b"GET /met")
    assert ask(server).status == 200
    assert capfd.readouterr().err == ""


def test_a_closed_port_answers_nobody_and_may_be_used_again(store: Overlapping) -> None:
    with serve(a_collector(store), socket.create_server((HOST, 0)), WELL) as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        ask(server)
    with serve(a_collector(store), socket.create_server((HOST, port)), WELL) as server:
        assert ask(server).status == 200


def speaks_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_an_address_of_the_newer_kind_is_understood(store: Overlapping) -> None:
    if not speaks_ipv6():
        return
    with serve(a_collector(store), socket.create_server(("::1", 0), family=socket.AF_INET6), WELL) as server:
        connection = HTTPConnection("::1", server.port, timeout=10)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 200
