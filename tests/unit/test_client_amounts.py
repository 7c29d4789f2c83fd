"""What people write as times, sizes, cores and workers is read exactly, or refused by name."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from haidang.amounts import (
    as_written,
    read_bytes,
    read_millicores,
    read_moment,
    read_seconds,
    read_workers,
    write_bytes,
    write_cores,
    write_number,
    write_seconds,
    write_time,
)
from haidang.errors import ArgumentError
from haidang.words import LANGUAGES, Words
from hypothesis import given
from hypothesis import strategies as st

ENGLISH = Words("en")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1h", 3600),
        ("90m", 5400),
        ("90min", 5400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("2D", 172_800),
        ("45s", 45),
        ("01:30:00", 5400),
        ("1-00:00:00", 86_400),
        (timedelta(hours=1, seconds=1), 3601),
        (3600, 3600),
    ],
)
def test_a_time_is_read_in_seconds(written: str | int | timedelta, seconds: int) -> None:
    assert read_seconds(written, "walltime", ENGLISH) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "1", "h", "1 fortnight", "1h!", "0s", "-1h", "0.5s", "1:30", 0, -5, True, timedelta(milliseconds=5)],
    ids=repr,
)
def test_what_is_no_time_is_refused_by_the_name_of_its_argument(written: str | int | timedelta) -> None:
    with pytest.raises(ArgumentError, match="walltime") as refused:
        read_seconds(written, "walltime", ENGLISH)
    assert refused.value.argument == "walltime"
    assert "90m" in str(refused.value)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("2GiB", 2 * 1024**3),
        ("2Gi", 2 * 1024**3),
        ("2 gib", 2 * 1024**3),
        ("1.5GiB", 1_610_612_736),
        ("512MiB", 512 * 1024**2),
        ("2GB", 2_000_000_000),
        ("1000B", 1000),
        (1_000_000, 1_000_000),
    ],
)
def test_memory_is_read_in_bytes(written: str | int, size: int) -> None:
    assert read_bytes(written, "memory", ENGLISH) == size


@pytest.mark.parametrize("written", ["", "2", "2G", "2X", "GiB", "0GiB", "-1GiB", "0.3B", 0, -1, True], ids=repr)
def test_what_is_no_memory_is_refused_and_so_is_a_unit_with_two_meanings(written: str | int) -> None:
    with pytest.raises(ArgumentError, match="memory"):
        read_bytes(written, "memory", ENGLISH)


@pytest.mark.parametrize(
    ("written", "millicores"),
    [(1, 1000), (0.5, 500), (0.1, 100), ("1.5", 1500), ("500m", 500), (Decimal("1.25"), 1250), ("12", 12_000)],
)
def test_cores_are_read_in_thousandths(written: float | str | Decimal, millicores: int) -> None:
    assert read_millicores(written, "cores", ENGLISH) == millicores


@pytest.mark.parametrize("written", ["", "one", 0, -1, 0.0001, "nan", "inf", float("nan"), True, "0.5m"], ids=repr)
def test_what_is_no_number_of_cores_is_refused(written: float | str) -> None:
    with pytest.raises(ArgumentError, match="cores"):
        read_millicores(written, "cores", ENGLISH)


@pytest.mark.parametrize(
    ("written", "least_and_most"),
    [(4, (4, 4)), ((2, 8), (2, 8)), ("4", (4, 4)), ("2-8", (2, 8)), ("2..8", (2, 8)), ("2 - 8", (2, 8))],
    ids=repr,
)
def test_workers_are_read_as_the_least_and_the_most(
    written: int | str | tuple[int, int], least_and_most: tuple[int, int]
) -> None:
    assert read_workers(written, "workers", ENGLISH) == least_and_most


@pytest.mark.parametrize("written", ["", "8-2", "many", (8, 2), -1, True, "2-8-9"], ids=repr)
def test_what_is_no_range_of_workers_is_refused(written: int | str | tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match="workers"):
        read_workers(written, "workers", ENGLISH)


@given(st.integers(min_value=1, max_value=10**9))
def test_a_number_that_was_written_in_its_smallest_unit_is_read_as_itself(number: int) -> None:
    assert read_seconds(f"{number}s", "walltime", ENGLISH) == number
    assert read_bytes(f"{number}B", "memory", ENGLISH) == number
    assert read_millicores(f"{number}m", "cores", ENGLISH) == number
    assert read_millicores(write_cores(number), "cores", ENGLISH) == number


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3600, "1h"), (5400, "1h30m"), (3605, "1h"), (90_000, "1d1h"), (-3, "0s")],
)
def test_a_time_is_written_with_at_most_two_units(seconds: int, written: str) -> None:
    assert write_seconds(seconds) == written


@pytest.mark.parametrize(
    ("size", "written"), [(512, "512B"), (2 * 1024**3, "2GiB"), (1_610_612_736, "1.5GiB"), (300 * 1024**2, "300MiB")]
)
def test_memory_is_written_in_the_largest_unit_that_it_fills(size: int, written: str) -> None:
    assert write_bytes(size) == written


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refused_argument_is_explained_in_the_language_that_was_chosen(language: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        read_bytes("2G", "memory", Words(language))
    assert ("bộ nhớ" in str(refused.value)) == (language == "vi")


def test_numbers_and_moments_are_written_as_the_language_does() -> None:
    vietnamese = Words("vi")
    assert write_number(1234567.5, 2, ENGLISH) == "1,234,567.50"
    assert write_number(Decimal("1234567.5"), 2, vietnamese) == "1.234.567,50"
    assert as_written("0.54", vietnamese) == "0,54"
    assert (write_time(0, ENGLISH), write_time(0, vietnamese)) == ("07:00 on 01/01/1970", "07:00 ngày 01/01/1970")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-26 07:00", 1_795_651_200),
        (" 2026-11-26T07:00:00 ", 1_795_651_200),
        ("2026-11-26 00:00Z", 1_795_651_200),
        ("2026-11-26 09:00+09:00", 1_795_651_200),
        ("2026-11-26", 1_795_651_200 - 7 * 3600),
        (datetime(2026, 11, 26, 7), 1_795_651_200),  # noqa: DTZ001 - what names no zone is the case
        (datetime(2026, 11, 26, tzinfo=UTC), 1_795_651_200),
        (1_795_651_200, 1_795_651_200),
    ],
)
def test_a_moment_is_read_by_the_citys_clock_unless_it_says_otherwise(
    written: str | int | datetime, moment: int
) -> None:
    assert read_moment(written, "begins", ENGLISH) == moment


@pytest.mark.parametrize("written", ["", "tomorrow", "07:00", "26/11/2026", True, -1])
def test_what_is_no_moment_is_refused_by_name(written: str | int) -> None:
    with pytest.raises(ArgumentError, match=r"begins: .* is not a moment") as refused:
        read_moment(written, "begins", ENGLISH)
    assert refused.value.argument == "begins"
