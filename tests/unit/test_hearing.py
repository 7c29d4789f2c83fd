"""Sentences about the messages by which processes tell each other what they have committed."""

from hypothesis import given
from hypothesis import strategies as st

from operations.events import Event, EventKind
from registry.ids import Seconds
from store.hearing import LARGEST_BYTES, read, written
from tests.builders import NOW, request_id

events = st.builds(
    Event,
    request=st.integers(1, 10**6).map(request_id),
    at=st.integers(0, NOW).map(Seconds),
    kind=st.sampled_from(EventKind),
)


@given(st.lists(events, max_size=20))
def test_what_is_told_is_what_is_heard(told: list[Event]) -> None:
    assert read(written(told)) == tuple(told)


@given(st.lists(events, min_size=200, max_size=300))
def test_what_is_too_long_is_told_as_anything(told: list[Event]) -> None:
    message = written(told)
    assert len(message.encode()) <= LARGEST_BYTES
    assert read(message) == ()


@given(st.text() | st.sampled_from(["null", "7", "[1]", "[[]]", '[["a", 1, "unheard-of"]]', '{"a": 1}']))
def test_what_nobody_understands_is_told_as_anything(message: str) -> None:
    assert read(message) == () or message == "[]"
