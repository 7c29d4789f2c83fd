"""Whoever computes on a cluster is told what the center knows: why it ends, and which process used too much memory."""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Any, cast

import pytest
from haidang.answers import Event
from haidang.clusters import Cluster
from haidang.endings import process_ends, why_ended
from haidang.errors import HaidangWarning
from haidang.inside.tenant import FAILED, NO_HEAD, OPEN_DOOR, meaning
from haidang.transport import Transport
from haidang.words import Words

from scheduler.observed import Cause
from tests.scripted import Scripted, scripted

ENGLISH = Words("en")
MEMORY = "1390710784 bytes of memory used, 1073741824 allowed"


class DaskStandIn:
    """What a cluster asks of its Dask client; one that looks for its scheduler logs that it was interrupted."""

    def __init__(self, status: str) -> None:
        self.status = status

    def close(self, timeout: float) -> None:
        assert timeout
        if self.status == "connecting":
            logging.getLogger("distributed.client").error("", exc_info=asyncio.CancelledError())


def event(number: int, kind: str, **details: str) -> Event:
    return Event(id=f"1-{number}", at=1_800_000_000 + number, kind=kind, details=details)


def ended(number: int, ordinal: int, cause: str, detail: str = "") -> Event:
    return event(number, "process_ended", process=f"h-r1-{ordinal}-{number}", cause=cause, detail=detail)


RUNNING, ENDING = event(1, "running"), event(9, "ending", why="walltime")
IN_ENGLISH = (
    "Cluster r1: worker 1 used more memory than it has and was ended (1.295GiB used, 1GiB allowed). "
    "A worker that ended is started again; ask for more memory for each, or give them smaller pieces."
)
IN_VIETNAMESE = (
    "Cụm r1: worker 1 dùng quá bộ nhớ được cấp nên bị kết thúc (dùng 1,295GiB, được cấp 1GiB). "
    "Worker đã kết thúc sẽ được khởi động lại; hãy xin thêm bộ nhớ cho mỗi worker hoặc chia nhỏ công việc."
)
FAT = [ended(2, 1, "memory", MEMORY), ended(3, 1, "memory", MEMORY)]
OTHERS = [ended(4, 2, "stopped"), ended(5, 2, "killed", "ended by SIGSEGV")]


@contextmanager
def a_cluster(
    *events: Event, later: Event = RUNNING, status: str = "running", language: str = "en"
) -> Generator[Cluster]:
    """Give a cluster to which these events happen, and one more in a little while."""
    told = "".join(f"data: {one.model_dump_json()}\n\n" for one in events)
    more = Scripted(body={"items": [later.model_dump()]})
    answers = [Scripted(text=told, content_type="text/event-stream"), more]
    words = Words(language)
    with scripted(answers) as script, closing(Transport(script.url, "a-token", words)) as transport:
        yield Cluster(transport, "r1", words, cast("Any", DaskStandIn(status)), owned=False)


@contextmanager
def warned() -> Generator[Callable[[], list[str]]]:
    """Give what was warned of so far, in any thread."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lambda: [str(one.message) for one in caught if one.category is HaidangWarning]


def failing_in(cluster: Cluster) -> RuntimeError:
    """Return the error of a block that fails."""
    with pytest.raises(RuntimeError) as failed, cluster:
        raise RuntimeError
    return failed.value


def notes_of(error: RuntimeError) -> list[str]:
    return getattr(error, "__notes__", [])


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", [IN_ENGLISH, "Cluster r1 ends: its time was up."]),
        ("vi", [IN_VIETNAMESE, "Cụm r1 kết thúc: đã hết thời gian."]),
    ],
)
def test_a_worker_that_used_too_much_memory_and_the_end_are_warned_of_once(language: str, told: list[str]) -> None:
    with warned() as warnings_so_far, a_cluster(RUNNING, *OTHERS, *FAT, ENDING, language=language) as cluster:
        assert cluster._watch.why_it_ends(5)
        assert warnings_so_far() == told


@pytest.mark.parametrize("status", ["running", "connecting", "closed"])
def test_an_error_that_leaves_the_block_has_the_end_of_the_cluster_as_a_note(status: str) -> None:
    with warned(), a_cluster(RUNNING, ENDING, status=status) as cluster:
        assert cluster._watch.why_it_ends(5)
        assert notes_of(failing_in(cluster)) == ["Cluster r1 ended: its time was up"]


def test_where_dask_is_faster_than_the_center_the_note_is_waited_for() -> None:
    with warned(), a_cluster(RUNNING, later=ENDING, status="connecting") as cluster:
        assert notes_of(failing_in(cluster)) == ["Cluster r1 ended: its time was up"]


def test_an_error_on_a_cluster_that_goes_on_gets_no_note_and_does_not_wait_for_one() -> None:
    began = time.monotonic()
    with a_cluster(RUNNING) as cluster:
        assert notes_of(failing_in(cluster)) == []
    assert time.monotonic() - began < 2


def test_an_end_that_one_has_brought_about_is_not_warned_of() -> None:
    with warned() as warnings_so_far, a_cluster(RUNNING, later=ENDING) as cluster:
        cluster.close()
        assert cluster._watch.why_it_ends(1) is None
        assert warnings_so_far() == []


def test_dask_does_not_log_that_it_looks_no_longer_for_what_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    with warned(), a_cluster(ENDING, status="connecting") as cluster:
        cluster.close()
        assert caplog.records == []
        cluster.client.close(timeout=1)
        assert len(caplog.records) == 1, "others are not kept from logging"


def test_where_warnings_are_errors_the_thread_still_bothers_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with a_cluster(RUNNING, ENDING) as cluster:
            assert cluster._watch.why_it_ends(5) == "its time was up"


def test_how_processes_ended_is_told_once_for_ends_that_are_alike_and_not_of_those_that_were_meant() -> None:
    fat = [ended(number, 1, "memory", f"{number} bytes of memory used, 1 allowed") for number in (9, 10)]
    told = list(process_ends([RUNNING, *OTHERS, *fat, ended(6, 0, "exited", "exit status 3"), ENDING], ENGLISH))
    at = "15:00 on 15/01/2027 (UTC+7)"
    assert told == [
        f"worker 2 was killed (by SIGSEGV), at {at}",
        f"worker 1 used more memory than it has and was ended (10B used, 1B allowed), 2 times, last at {at}",
        f"the Dask scheduler ended by itself (exit status 3), at {at}",
    ]


@pytest.mark.parametrize("cause", sorted(Cause))
def test_every_cause_of_the_center_is_told_in_words(cause: Cause) -> None:
    told = list(process_ends([ended(2, 3, cause.value, "an eclipse")], ENGLISH))
    assert (told == []) == (cause is Cause.STOPPED)
    assert all("worker 3" in line and "(an eclipse)" in line for line in told)
    assert cause is Cause.STOPPED or f"process_{cause.value}" in ENGLISH


def test_a_cause_that_is_newer_than_the_client_is_told_as_it_came() -> None:
    assert list(process_ends([ended(2, 3, "frozen")], ENGLISH)) == [
        "worker 3 ended: frozen, at 15:00 on 15/01/2027 (UTC+7)"
    ]


@pytest.mark.parametrize(
    "detail",
    [
        MEMORY,
        "its memory limit of 1073741824 bytes was exceeded",
        "its node n1 is lost",
        "its keeper ended before it",
        *(meaning(status) for status in (1, -9, NO_HEAD, FAILED, OPEN_DOOR)),
    ],
)
def test_what_was_written_about_an_end_is_told_in_both_languages(detail: str) -> None:
    (told,) = process_ends([ended(2, 3, "exited", detail)], Words("vi"))
    assert told.startswith("worker 3 tự kết thúc (")
    assert detail not in told


def test_why_a_request_ended_is_told_in_words_and_a_new_code_as_it_came() -> None:
    assert why_ended("idle", ENGLISH) == "nobody used it"
    assert why_ended("swallowed", ENGLISH) == "swallowed"
