"""Whatever lies in a run folder or arrives as an order: it is what was written, or it is rejected."""

from __future__ import annotations

import contextlib
import json
import os
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from haidang.inside import folders, runs
from haidang.inside.runs import RejectedError
from hypothesis import given
from hypothesis import strategies as st

from backends.door import NoAnswerError
from backends.heads import read_claim

MILLISECONDS = st.integers(0, 32_503_680_000_000)
AMOUNTS = st.integers(0, 2**62)
NAMES = st.builds(
    runs.ProcessName,
    request=st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26),
    ordinal=st.integers(0, 9999),
    incarnation=st.integers(0, 9999),
)
STARTS = st.builds(
    runs.Start,
    name=NAMES,
    uid=st.text("0123456789abcdef", min_size=32, max_size=32),
    started=MILLISECONDS,
    boot_id=st.uuids().map(str),
    cores_milli=AMOUNTS,
    memory_bytes=AMOUNTS,
    cpus=st.lists(st.integers(0, 1000), max_size=8).map(tuple),
    unix_uid=st.none() | st.integers(1, 2**31),
)
ENDS = st.builds(
    runs.End,
    ended=MILLISECONDS,
    cause=st.sampled_from(runs.Cause),
    detail=st.text(string.ascii_letters + " ,.", max_size=500),
    status=st.none() | st.integers(-64, 255),
    cpu_milliseconds=st.none() | AMOUNTS,
    peak_bytes=st.none() | AMOUNTS,
)
WANTED = st.builds(
    runs.Wanted,
    name=NAMES,
    head=NAMES,
    cores_milli=AMOUNTS,
    memory_bytes=AMOUNTS,
    unix_uid=st.none() | st.integers(1, 2**31),
)
ORDERS = st.one_of(
    st.builds(runs.StartOrder, processes=st.lists(WANTED, max_size=5).map(tuple)),
    st.builds(runs.StopOrder, names=st.lists(NAMES, max_size=5).map(tuple)),
    st.just(runs.LeaveOrder()),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PARSERS = (runs.parse_start, runs.parse_pulse, runs.parse_doors, runs.parse_end, runs.parse_order)
WHOLE: dict[str, dict[str, Any]] = {
    "pulse": {
        "at": 1,
        "keeper": {"pid": 2, "ticks": 3},
        "process": {"pid": 3, "ticks": 4},
        "cpu_milliseconds": 5,
        "peak_bytes": 6,
    },
    "doors": {"comm": 1, "state": 2},
    "end": {"ended": 1, "cause": "exited", "detail": "", "status": 0, "cpu_milliseconds": 1, "peak_bytes": 2},
}


@given(NAMES)
def test_a_name_is_read_as_it_is_spelled(name: runs.ProcessName) -> None:
    assert runs.ProcessName.parse(str(name)) == name
    assert len(str(name)) <= 40


@given(st.text() | st.from_regex(r"h-[a-z2-7]{25,27}-\d+-\d+\s?"))
def test_what_is_no_name_is_rejected(text: str) -> None:
    with contextlib.suppress(RejectedError):
        assert str(runs.ProcessName.parse(text)) == text


@given(STARTS)
def test_a_start_is_read_as_it_was_written(start: runs.Start) -> None:
    assert runs.parse_start(json.dumps(folders.start_fields(start)).encode()) == start


@given(ENDS)
def test_an_end_is_read_as_it_was_written(end: runs.End) -> None:
    assert runs.parse_end(json.dumps(folders.end_fields(end)).encode()) == end


@given(st.text(max_size=2000))
def test_an_end_can_be_read_whatever_is_told_about_it(detail: str) -> None:
    end = runs.End(ended=1, cause=runs.Cause.KILLED, detail=detail, status=None, cpu_milliseconds=None, peak_bytes=None)
    assert runs.parse_end(json.dumps(folders.end_fields(end)).encode()).cause is runs.Cause.KILLED


@given(ORDERS)
def test_an_order_is_read_as_it_was_given(order: runs.Order) -> None:
    assert runs.parse_order(runs.order_message(order)) == order


@pytest.mark.parametrize("parse", PARSERS)
@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_rejected_and_nothing_else_happens(parse: Callable[[bytes], object], content: bytes) -> None:
    with contextlib.suppress(RejectedError):
        parse(content)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("content", [b"[" * 16000, b'{"a":' * 3000, b"1" * 16000, b'{"at": 1e999}', b"\xff\xfe{}"])
def test_content_that_is_meant_to_break_a_parser_is_rejected(parse: Callable[[bytes], object], content: bytes) -> None:
    with pytest.raises(RejectedError):
        parse(content)


@given(file=st.sampled_from(sorted(WHOLE)), value=JSON, data=st.data())
def test_a_file_with_one_field_changed_is_rejected_or_within_its_bounds(
    file: str, value: object, data: st.DataObject
) -> None:
    fields = {**WHOLE[file], data.draw(st.sampled_from(sorted(WHOLE[file]))): value}
    parse = {"pulse": runs.parse_pulse, "doors": runs.parse_doors, "end": runs.parse_end}[file]
    try:
        parsed: Any = parse(json.dumps(fields).encode())
    except RejectedError:
        return
    for field in ("at", "ended", "cpu_milliseconds", "peak_bytes"):
        number = getattr(parsed, field, None)
        assert number is None or (type(number) is int and 0 <= number <= 2**62)
    if isinstance(parsed, runs.Doors):
        assert parsed.address == f"tls://127.0.0.1:{parsed.comm}"
        assert 1 <= parsed.comm <= 65535


@given(STARTS, MILLISECONDS)
def test_no_bill_ends_before_it_starts(start: runs.Start, ended: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        (data / "run").mkdir()
        made = folders.make(data, start)
        assert made is not None
        end = {"ended": ended, "cause": "exited", "detail": ""}
        folders.write(made[0], runs.END, end)
        try:
            run = runs.read_run(data, str(start.name))
        except RejectedError:
            assert ended < start.started
        else:
            assert run is not None
            assert run.end is not None
            assert run.end.ended >= run.start.started
        assert folders.make(data, start) is None  # the name is taken, as often as it is tried
        for descriptor in made:
            os.close(descriptor)


CLAIM = {"desired_workers": 1, "idle_since": 5, "clients": 0, "tasks": 3, "workers": []}


@given(JSON, st.sampled_from(sorted(CLAIM)))
def test_a_heads_claim_is_bounded_or_no_answer(value: object, field: str) -> None:
    worker = {"name": "x", "status": "running", "processing": 1, "bytes": 2}
    for answer in (
        {**CLAIM, field: value},
        {**CLAIM, "workers": [{**worker, name: value} for name in worker]},
        {**CLAIM, "workers": [value]},
    ):
        try:
            claim = read_claim(answer, now=1000)
        except NoAnswerError:
            continue
        assert claim.idle_since is None or 0 <= claim.idle_since <= 1000
        assert 0 <= claim.desired_workers <= 2**53
        assert all(len(worker.name) <= 64 and 0 <= worker.stored_bytes <= 2**53 for worker in claim.workers)
