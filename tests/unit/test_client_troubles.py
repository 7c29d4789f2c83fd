"""Whoever waits for a cluster is told what keeps its processes from starting, and `why` says it afterwards."""

from contextlib import closing

import pytest
from haidang.progress import Standing
from haidang.transport import Transport
from haidang.troubles import Trouble, failed_starts
from haidang.waiting import Waiting
from haidang.words import Words

from scheduler import troubles
from tests.scripted import Scripted, scripted
from tests.unit.test_client_watching import ENGLISH, event

BACK_OFF = event(3, "troubled", process="h-r1-0-1", trouble="image", detail="Back-off pulling image")
AT = "15:00 on 15/01/2027 (UTC+7)"
FAILED = event(4, "start_failed", trouble="image", processes="3", detail="Back-off pulling image")


@pytest.mark.parametrize("language", ["en", "vi"])
@pytest.mark.parametrize("code", sorted(troubles.Trouble))
def test_every_trouble_of_the_center_is_told_in_words(code: troubles.Trouble, language: str) -> None:
    words = Words(language)
    assert f"trouble_{code}" in words
    (line,) = failed_starts([event(1, "start_failed", trouble=code, processes="2", detail="an eclipse")], words)
    assert words(f"trouble_{code}") + " (an eclipse)" in line


def test_a_process_that_does_not_start_is_named() -> None:
    trouble = Trouble.of(BACK_OFF)
    assert trouble is not None
    assert trouble.sentence(ENGLISH) == (
        "the Dask scheduler does not start: the image of its environment could not be fetched (Back-off pulling image)"
    )
    assert Trouble.of(FAILED) is None


def test_starts_that_failed_alike_are_told_in_one_line() -> None:
    newer = event(5, "start_failed", trouble="eclipse", processes="1")
    assert list(failed_starts([FAILED, BACK_OFF, newer, FAILED], ENGLISH)) == [
        f"3 of its processes did not start, last at {AT}: {ENGLISH('trouble_image')} (Back-off pulling image)",
        f"one of its processes did not start, last at {AT}: eclipse",
    ]


class Shown:
    """A display that keeps the phases that it was shown, each with the reasons beside it."""

    def __init__(self) -> None:
        self.standings: dict[str, set[tuple[str, ...]]] = {}

    def show(self, standing: Standing, waited_seconds: float) -> None:
        assert waited_seconds >= 0
        self.standings.setdefault(standing.phase, set()).add(standing.reasons)

    def close(self) -> None:
        """Leave everything as it is."""


def test_whoever_waits_is_shown_the_trouble_and_then_the_queue_again() -> None:
    happened = [event(2, "placed"), BACK_OFF, FAILED, event(5, "turned_back")]
    told = "".join(f"data: {one.model_dump_json()}\n\n" for one in happened)
    answers = [
        Scripted(text=told, content_type="text/event-stream"),
        Scripted(body={"items": [event(6, "running").model_dump()]}),
    ]
    display = Shown()
    with scripted(answers) as script, closing(Transport(script.url, "a-token", ENGLISH)) as transport:
        Waiting(transport, "r1", display, ENGLISH).until_running()
    because = Trouble.of(BACK_OFF)
    assert because is not None
    assert display.standings["starting"] == {(), (because.sentence(ENGLISH),)}
    assert list(display.standings) == ["pending", "starting", "running"]
    assert display.standings["pending"] == {()}
