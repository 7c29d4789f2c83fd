"""Tables of text that fit a terminal and keep everything in a pipe."""

import shutil
import sys
from collections.abc import Sequence

from haidang.progress import shortened, width_of

_GAP = "  "


def terminal_width() -> int | None:
    """Return how many columns there are to fill; None in a pipe, where whoever reads decides."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None, numbers: int = 0) -> list[str]:
    """Return the lines of a table. The last `numbers` columns are set to the right.

    What is too wide for `width` is cut where it hurts least: a line at its end, after columns of few letters.
    """
    cells = [list(headings), *(list(row) for row in rows)]
    widths = [max(width_of(cell) for cell in column) for column in zip(*cells, strict=True)]
    first_number = len(headings) - numbers
    lines = [_line(row, widths, first_number) for row in cells]
    return [shortened(line, width) if width is not None else line for line in lines]


def _line(row: Sequence[str], widths: Sequence[int], first_number: int) -> str:
    padded = [
        " " * (width - width_of(cell)) + cell if index >= first_number else cell + " " * (width - width_of(cell))
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return _GAP.join(padded).rstrip()
