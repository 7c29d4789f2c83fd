"""The client and the API understand each other: every call of the client, over a socket to the application."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from haidang import Client
from haidang.errors import (
    ArgumentError,
    ConflictError,
    EndedError,
    ForbiddenError,
    InvalidError,
    UnauthenticatedError,
    UnknownError,
    WaitedTooLongError,
)

from registry.ids import Seconds
from scheduler.policy import DAY
from tests.builders import NOW
from tests.fronts import Front
from tests.served import a_client, served

GIB = 1024**3


@pytest.fixture
def url(front: Front) -> Iterator[str]:
    with served(front) as url:
        yield url


@pytest.fixture
def alice(url: str) -> Iterator[Client]:
    with a_client(url, "alice") as client:
        yield client


@contextmanager
def meanwhile(do: Callable[[], object], seconds: float = 0.3) -> Iterator[None]:
    """Do something in a little while; it is done when the block is left."""
    timer = threading.Timer(seconds, do)
    timer.start()
    yield
    timer.join()


def fill(alice: Client, front: Front) -> str:
    """Have the whole node taken, so that whoever comes next waits."""
    taken = alice.submit(workers=7, cores=1, memory="2GiB").id
    front.cycle()
    return taken


def test_what_is_submitted_is_asked_for_to_the_byte(alice: Client) -> None:
    request = alice.submit(workers=(1, 4), cores=0.5, memory="1.5GiB", walltime="90m", idle="15m", name="a try")
    assert (request.state, request.name, request.project, request.pool) == ("pending", "a try", "vmu.vision", "main")
    assert (request.worker.millicores, request.worker.memory) == (500, GIB * 3 // 2)
    assert (request.workers.min, request.workers.max) == (1, 4)
    assert (request.walltime_seconds, request.idle_seconds) == (5400, 900)
    assert alice.request(request.id).submitted == request.submitted


def test_the_same_key_is_the_same_request_and_cannot_mean_another(alice: Client) -> None:
    first = alice.submit(workers=1, key="lecture-7")
    assert alice.submit(workers=1, key="lecture-7").id == first.id
    assert alice.submit(workers=1).id != first.id
    with pytest.raises(InvalidError) as refused:
        alice.submit(workers=2, key="lecture-7")
    assert refused.value.code == "key-used-otherwise"


def test_who_has_one_project_and_one_pool_names_neither_and_who_has_more_is_asked(url: str, alice: Client) -> None:
    assert alice.submit(workers=1).project == "vmu.vision"
    with a_client(url, "root") as root, pytest.raises(ArgumentError, match=r"hust\.climate, vmu\.vision"):
        root.submit(workers=1)


def test_what_could_never_run_is_refused_with_every_reason_and_the_arguments_they_are_about(alice: Client) -> None:
    with pytest.raises(InvalidError) as refused:
        alice.submit(workers=(100, 200), cores=64, memory="1TiB", walltime="10d")
    assert refused.value.status == 422
    assert {"workers", "walltime_seconds"} <= {reason.field for reason in refused.value.reasons}
    assert all(reason.sentence in str(refused.value) for reason in refused.value.reasons)


def test_a_list_goes_on_from_page_to_page(alice: Client) -> None:
    submitted = [alice.submit(workers=1, request_class="normal").id for _ in range(53)]
    assert {request.id for request in alice.requests()} == set(submitted)
    assert [request.id for request in alice.requests(state="placed")] == []
    assert len({request.id for request in alice.requests(mine=True, project="vmu.vision")}) == 53


def test_a_waiting_request_is_held_released_and_cancelled(alice: Client) -> None:
    request = alice.submit(workers=1).id
    assert alice.hold(request).user_hold
    assert [reason.code for reason in alice.explain(request).reasons] == ["held-by-user"]
    assert not alice.release(request).user_hold
    assert alice.cancel(request).state == "ended"
    assert alice.cancel(request).end == "cancelled"
    with pytest.raises(ConflictError):
        alice.hold(request)


def test_a_running_cluster_goes_on_for_longer_until_somebody_is_promised_its_place(front: Front, alice: Client) -> None:
    request = fill(alice, front)
    longer = alice.extend(request, "30m")
    assert (longer.extended_seconds, longer.deadline) == (1800, NOW + 3600 + 1800)
    assert alice.extend(request, 60).extended_seconds == 1860
    front.clock.time = Seconds(NOW - DAY)
    alice.submit(workers=4)
    front.clock.time = NOW
    front.cycle()
    with pytest.raises(ConflictError) as refused:
        alice.extend(request, "1h")
    assert [reason.code for reason in refused.value.reasons] == ["extension-too-long", "would-delay-promised"]
    assert refused.value.reasons[0].numbers == {"asked": 3600, "longest": 0}
    with pytest.raises(ArgumentError):
        alice.extend(request, "soon")


def test_an_extension_with_a_key_adds_to_the_deadline_once_and_one_without_each_time(
    front: Front, alice: Client
) -> None:
    request = fill(alice, front)
    for _ in range(2):
        assert alice.extend(request, "30m", key="lecture-7").extended_seconds == 1800
    assert alice.extend(request, "30m").extended_seconds == 3600
    with pytest.raises(InvalidError) as refused:
        alice.extend(request, "1h", key="lecture-7")
    assert refused.value.code == "key-used-otherwise"
    with pytest.raises(ArgumentError, match="is not a key"):
        alice.extend(request, "1h", key="bài 7")


@pytest.mark.parametrize("language", ["en", "vi"])
def test_why_a_request_waits_is_told_in_the_language_of_the_client(front: Front, url: str, language: str) -> None:
    with a_client(url, "alice", language=language) as alice:
        fill(alice, front)
        told = alice.explain(alice.submit(workers=4, cores=1).id)
        assert (told.place, told.pending) == (1, 1)
        assert told.reasons
        assert all(("cụm máy" in reason.sentence.lower()) == (language == "vi") for reason in told.reasons)


def test_events_are_told_from_the_first_to_the_last_and_after_any_of_them(front: Front, alice: Client) -> None:
    request = alice.submit(workers=1).id
    front.cycle()
    front.start(request)
    alice.cancel(request)
    front.end(request)
    told = list(alice.events(request))
    assert [event.kind for event in told if not event.kind.startswith("process_")] == [
        "submitted",
        "placed",
        "running",
        "ending",
        "ended",
    ]
    assert list(alice.events(request, since=told[1].id)) == told[2:]
    assert list(alice.events(request, since=told[-1].id)) == []


def test_clusters_are_listed_with_the_workers_that_run_and_what_happened_so_far_is_told_at_once(
    front: Front, alice: Client
) -> None:
    request = alice.submit(workers=(2, 3)).id
    assert list(alice.clusters()) == []
    front.cycle()
    assert [(one.id, one.workers.ready, one.workers.max) for one in alice.clusters()] == [(request, 0, 3)]
    front.start(request)
    assert [one.workers.ready for one in alice.clusters()] == [2]
    assert alice.request(request).workers_ready == 2
    kinds = [event.kind for event in alice.events(request, wait=False)]
    assert (kinds[0], kinds[-1]) == ("submitted", "running")


def test_events_come_while_they_happen(front: Front, alice: Client) -> None:
    request = alice.submit(workers=1).id
    events = iter(alice.events(request))
    assert next(events).kind == "submitted"
    with meanwhile(front.cycle, 0.1):
        began = time.monotonic()
        assert next(events).kind == "placed"
        assert time.monotonic() - began < 2
    alice.cancel(request)
    front.end(request)
    assert [event.kind for event in events][-1] == "ended"


def test_who_waits_is_told_why_and_then_that_it_runs(
    front: Front, alice: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = fill(alice, front)
    waiting = alice.submit(workers=4, cores=1).id

    def make_room() -> None:
        alice.cancel(taken)
        front.end(taken)
        front.cycle()
        front.start(waiting)

    with meanwhile(make_room, 1.0):
        alice.wait(waiting)
    shown = capsys.readouterr().err
    assert f"Request {waiting} waits: place 1 of 1 in the queue; " in shown
    assert alice.request(waiting).phase == "running"
    assert shown.rstrip().endswith("runs")


def test_who_waits_for_what_somebody_cancels_hears_of_it(alice: Client) -> None:
    waiting = alice.submit(workers=1).id
    with (
        meanwhile(lambda: alice.cancel(waiting)),
        pytest.raises(EndedError, match="it was cancelled") as ended,
    ):
        alice.wait(waiting, progress=False)
    assert (ended.value.request_id, ended.value.why) == (waiting, "cancelled")


def test_who_waits_only_so_long_leaves_the_request_or_has_it_cancelled(alice: Client) -> None:
    waiting = alice.submit(workers=1).id
    with pytest.raises(WaitedTooLongError):
        alice.wait(waiting, patience="1s", progress=False)
    assert alice.request(waiting).state == "pending"
    with pytest.raises(WaitedTooLongError):
        alice.cluster(workers=1, patience="1s", progress=False)
    assert [request.id for request in alice.requests(state="pending")] == [waiting]


def test_waiting_outlives_a_center_that_is_started_again(front: Front) -> None:
    with served(front) as url, a_client(url, "alice") as alice:
        waiting = alice.submit(workers=1).id
        port = int(url.rpartition(":")[2])

    def start_again() -> None:
        with served(front, port):
            front.cycle()
            front.start(waiting)
            over.wait(20)

    over = threading.Event()
    with meanwhile(start_again, 1.0), a_client(url, "alice") as alice:
        alice.wait(waiting, progress=False, patience="20s")
        over.set()


def test_a_bill_is_what_was_awarded_and_what_is_left(front: Front, alice: Client) -> None:
    before = alice.usage()
    request = alice.submit(workers=1).id
    front.cycle()
    during = alice.usage()
    assert during.outstanding_micro_credits > 0
    assert during.available_micro_credits + during.outstanding_micro_credits == before.available_micro_credits
    front.start(request)
    front.clock.time += 100
    alice.cancel(request)
    front.end(request)
    after = alice.usage("vmu.vision")
    assert after.outstanding_micro_credits == 0
    assert after.usage.core_milliseconds == 100 * (1000 + 505)
    assert after.available_micro_credits + after.charged_micro_credits == before.available_micro_credits
    assert [pool.pool for pool in after.pools] == ["main"]


def test_a_connection_does_not_show_its_key_when_it_is_printed(front: Front, alice: Client) -> None:
    request = alice.submit(workers=1).id
    with pytest.raises(ConflictError):
        alice.connection(request)
    front.cycle()
    front.start(request)
    front.give_credentials(request)
    connection = alice.connection(request)
    assert connection.key == "owner key"
    assert "owner key" not in repr(connection)
    assert connection.environment.distributed


def test_others_are_told_apart(url: str, alice: Client) -> None:
    request = alice.submit(workers=1).id
    with a_client(url, "eve") as eve, pytest.raises(UnknownError):
        eve.explain(request)
    with a_client(url, "bob") as bob, pytest.raises(ForbiddenError):
        bob.cancel(request)
    with a_client(url, "nobody") as nobody, pytest.raises(UnauthenticatedError):
        next(iter(nobody.events(request)))


def test_any_other_call_of_the_center_can_be_made(url: str) -> None:
    with a_client(url, "root") as root:
        made = root.call("POST", "/v1/institutions", {"id": "cmu", "name": "City Museum", "kind": "department"})
        assert root.call("GET", f"/v1/institutions/{made['id']}") == made


# Bookings


@pytest.fixture
def root(url: str) -> Iterator[Client]:
    with a_client(url, "root") as client:
        yield client


def test_nodes_are_booked_listed_named_by_a_request_and_given_back(root: Client, alice: Client) -> None:
    lesson = root.bookings.book(["n1"], "2h", begins=NOW + 3600, project="vmu.vision", name="Learning")
    assert (lesson.nodes, lesson.begins, lesson.until) == (("n1",), NOW + 3600, NOW + 3 * 3600)
    assert (lesson.kind, lesson.project, lesson.displaces) == ("course", "vmu.vision", False)
    assert list(alice.bookings.list(pool="main")) == [lesson] == [alice.bookings.get(lesson.id)]
    assert alice.submit(workers=1, walltime="2h", booking=lesson.id).booking == lesson.id
    with pytest.raises(InvalidError, match="2 h are left"):
        alice.submit(workers=1, walltime="3h", booking=lesson.id)
    released = alice.bookings.release(lesson.id)
    assert (released.released, released.until) == (NOW, NOW)
    assert list(alice.bookings.list()) == []
    assert list(alice.bookings.list(over=True)) == [released] == [alice.bookings.release(lesson.id)]


def test_a_booking_with_a_key_is_one_booking(root: Client) -> None:
    def book(length: str) -> str:
        return root.bookings.book(1, length, begins=NOW + 3600, project="vmu.vision", key="lecture-7").id

    assert book("2h") == book("2h")
    with pytest.raises(InvalidError) as refused:
        book("3h")
    assert refused.value.code == "key-used-otherwise"
    assert len(list(root.bookings.list())) == 1


def test_the_center_chooses_nodes_for_maintenance_which_is_no_projects(url: str, front: Front) -> None:
    with Client(url, "root-secret", project="vmu.vision", language="en") as root:
        lasting = root.bookings.book(1, "30d", kind="maintenance", begins=NOW, displace=True)
        assert (lasting.nodes, lasting.project, lasting.displaces) == (("n1",), None, True)
        front.clock.time = lasting.ends
        assert root.bookings.book(1, "1h", begins=lasting.ends).project == "vmu.vision"


def test_who_does_not_run_the_center_books_nothing(alice: Client, root: Client) -> None:
    with pytest.raises(ForbiddenError, match="administrator of the center"):
        alice.bookings.book(1, "1h", begins=NOW + 60, project="vmu.vision")
    with pytest.raises(InvalidError, match="Name the project"):
        root.bookings.book(1, "1h", begins=NOW + 60)
    with pytest.raises(ArgumentError, match="begins"):
        root.bookings.book(1, "1h", begins="soon")
    root.bookings.book(1, "1h", begins=NOW + 60, project="vmu.vision")
    with pytest.raises(ConflictError, match="ask for fewer or choose another time"):
        root.bookings.book(1, "1h", begins=NOW + 60, project="vmu.vision")


def test_what_would_become_of_a_request_is_told_with_the_same_arguments_and_nothing_is_asked_for(
    alice: Client, front: Front
) -> None:
    free = alice.estimate(workers=7, cores=1, memory="2GiB", walltime="1h")
    assert free.start is not None
    assert free.start.percent_90.latest == NOW
    assert free.micro_credits
    fill(alice, front)
    full = alice.estimate(workers=7, cores=1, memory="2GiB", walltime="1h")
    assert full.start is not None
    assert full.start.percent_50.latest > NOW
    assert full.micro_credits == free.micro_credits
    assert [reason.code for reason in full.reasons] == ["nodes-full"]
    assert len(list(alice.requests())) == 1
    with pytest.raises(InvalidError):
        alice.estimate(workers=9999)
