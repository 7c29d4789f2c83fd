"""Amounts as people write them, read into the exact integers that the center counts in, and written again."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Final, TypeGuard

from haidang.errors import ArgumentError
from haidang.words import Words

Cores = int | float | str | Decimal
Bytes = int | str
Walltime = int | str | timedelta
Moment = int | str | datetime
Workers = int | str | tuple[int, int]

CLOCK: Final = timezone(timedelta(hours=7))
"""The clock on the city's walls, by which the center tells times, too, wherever its users are."""

KIB: Final = 1024
MIB: Final = 1024 * KIB
_MICRO: Final = 1_000_000

_MEMORY: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>[A-Za-z]+)")
_MEMORY_UNITS: Final[Mapping[str, int]] = {
    "b": 1,
    **{f"{letter}i{end}": KIB**power for power, letter in enumerate("kmgtp", start=1) for end in ("", "b")},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", start=1)},
}
_TIME_PART: Final = re.compile(r"(\d+(?:\.\d+)?) ?(d|h|min|m|s)")
_TIME: Final = re.compile(rf"(?:{_TIME_PART.pattern} ?)+")
_TIME_UNITS: Final[Mapping[str, int]] = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
_CLOCK: Final = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")
_RANGE: Final = re.compile(r"(\d+)(?: ?(?:-|\.\.|,) ?(\d+))?")


def read_seconds(value: Walltime, argument: str, words: Words) -> int:
    """Return a length of time in whole seconds: `90m`, `1h30m`, `1-00:00:00`, a timedelta, or seconds as a number.

    Raises:
        ArgumentError: it is none of these, not positive or not whole seconds.
    """
    seconds: Decimal | int | None = None
    if isinstance(value, timedelta):
        seconds = Decimal(value // timedelta(microseconds=1)) / 1_000_000
    elif isinstance(value, str):
        seconds = _written_seconds(value.strip().lower())
    elif _is_whole(value):
        seconds = value
    return _whole_positive(seconds, argument, "bad_time", value, words)


def read_moment(value: Moment, argument: str, words: Words) -> int:
    """Return a moment in whole seconds since 1970: `2026-11-26 07:00`, a datetime, or those seconds as a number.

    What names no zone is a time of the city's clock.

    Raises:
        ArgumentError: it is none of these.
    """
    moment: datetime | None = value if isinstance(value, datetime) else None
    if isinstance(value, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(value.strip())
    elif _is_whole(value) and value >= 0:
        return value
    if moment is None:
        raise ArgumentError(argument, words("bad_moment", argument=argument, value=value))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=CLOCK)).timestamp())


def read_bytes(value: Bytes, argument: str, words: Words) -> int:
    """Return an amount of memory in bytes: `2GiB` or `2Gi` (1024 each step), `2GB` (1000 each), or bytes as a number.

    Raises:
        ArgumentError: it is none of these. A bare `2G` means 1000s to some and 1024s to others, so it is refused.
    """
    size: Decimal | int | None = None
    if isinstance(value, str):
        found = _MEMORY.fullmatch(value.strip())
        unit = _MEMORY_UNITS.get(found["unit"].lower()) if found else None
        size = Decimal(found["number"]) * unit if found and unit else None
    elif _is_whole(value):
        size = value
    return _whole_positive(size, argument, "bad_memory", value, words)


def read_millicores(value: Cores, argument: str, words: Words) -> int:
    """Return cores in thousandths of one: `2`, `0.5`, `"1.5"` or `"500m"`.

    Raises:
        ArgumentError: it is none of these, or finer than a thousandth.
    """
    text = str(value).strip()
    try:
        millicores = Decimal(text.removesuffix("m")) * (1 if text.endswith("m") else 1000)
    except InvalidOperation:
        raise ArgumentError(argument, words("bad_cores", argument=argument, value=text)) from None
    return _whole_positive(None if isinstance(value, bool) else millicores, argument, "bad_cores", value, words)


def read_workers(value: Workers, argument: str, words: Words) -> tuple[int, int]:
    """Return the least and the most workers: `4`, `(2, 8)`, `"4"` or `"2-8"`.

    Raises:
        ArgumentError: it is none of these, negative, or the least exceeds the most.
    """
    least: object = None
    most: object = None
    if isinstance(value, str) and (found := _RANGE.fullmatch(value.strip())):
        least, most = int(found[1]), int(found[2] or found[1])
    elif isinstance(value, tuple | list) and len(value) == len(("least", "most")):
        least, most = value
    elif _is_whole(value):
        least = most = value
    if _is_whole(least) and _is_whole(most) and 0 <= least <= most:
        return least, most
    raise ArgumentError(argument, words("bad_workers", argument=argument, value=value))


def write_seconds(seconds: int) -> str:
    """Write a length of time for people: `45s`, `12m`, `1h30m`, `2d4h`; at most two units, rounded down."""
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, seconds = divmod(max(0, seconds), _TIME_UNITS[unit])
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2]) or "0s"


def write_bytes(size: int) -> str:
    """Write an amount of memory for people: `512MiB`, `2GiB`, `1.5GiB`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= KIB**power:
            return f"{size / KIB**power:.4g}{unit}"
    return f"{size}B"


def write_cores(millicores: int) -> str:
    """Write cores for people: `1`, `0.5`, `12.25`."""
    return f"{Decimal(millicores) / 1000:f}"


def write_time(moment: int, words: Words) -> str:
    """Write a moment, in seconds since 1970, for a place that says which clock is meant: `07:09 on 26/11/2026`."""
    return datetime.fromtimestamp(moment, CLOCK).strftime(words("time"))


def write_moment(moment: int, words: Words) -> str:
    """Write a moment as the center's sentences do: `07:09 on 26/11/2026 (UTC+7)`."""
    return words("moment", time=write_time(moment, words))


def write_number(number: float | Decimal, places: int, words: Words) -> str:
    """Write a number with so many places behind the point, in groups of three: `1,234.50`, in Vietnamese `1.234,50`."""
    return as_written(f"{number:,.{places}f}", words)


def as_written(numeral: str, words: Words) -> str:
    """Return an English numeral with the point and the comma of the language."""
    return numeral.translate(str.maketrans(",.", words("separators")))


def _written_seconds(text: str) -> Decimal | None:
    if found := _CLOCK.fullmatch(text):
        units = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
        return Decimal(sum(int(found[name] or 0) * unit for name, unit in units))
    if not _TIME.fullmatch(text):
        return None
    return sum((Decimal(number) * _TIME_UNITS[unit] for number, unit in _TIME_PART.findall(text)), Decimal(0))


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole_positive(number: Decimal | int | None, argument: str, sentence: str, value: object, words: Words) -> int:
    if number is None or not Decimal(number).is_finite() or number <= 0 or number != int(number):
        raise ArgumentError(argument, words(sentence, argument=argument, value=value))
    return int(number)


def write_credits(micro_credits: int, words: Words) -> str:
    """Write an amount of credits for people; six places are exact, two are enough for most."""
    text = write_number(Decimal(micro_credits) / _MICRO, 6, words)
    return text[:-4] + text[-4:].rstrip("0")
