"""What a benchmark hands over, and how it is printed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

_PERCENTS: Final = 100

Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The value that the goal is about, and a table of it beside its peers or its bound from the same run."""

    value: float
    table: Sequence[Row]


def lines(table: Sequence[Row]) -> Iterator[str]:
    """Yield a table's rows, the first column to the left and the numbers to the right; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        first, *others = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *others)).rstrip()


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of all values do not exceed."""
    return quantiles(values, n=_PERCENTS, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


SPREAD_HEAD: Final = ("", "p50 s", "min s", "max s", "runs", "against Haidang")


def spread(name: str, seconds: Sequence[float], ours: Sequence[float] = ()) -> Row:
    """Return a row about repeated times and, where there is something to compare, their median against ours."""
    middle = median(seconds)
    compared = f"{middle / median(ours):.1f} x" if ours else ""
    return (name, f"{middle:.3f}", f"{min(seconds):.3f}", f"{max(seconds):.3f}", str(len(seconds)), compared)
