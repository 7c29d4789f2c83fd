"""What somebody sees who waits for a cluster: in a terminal, in a log, in a notebook."""

from __future__ import annotations

import importlib
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any, Protocol, TextIO

from haidang.amounts import write_moment, write_seconds
from haidang.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a request stands that somebody waits for.

    `phase` is the center's word for it; `place` and `pending` are its place in the queue and how many stand there;
    `reasons` are sentences; `expected` is the start that is protected for it, in seconds since 1970.
    """

    request_id: str
    phase: str
    place: int | None = None
    pending: int | None = None
    reasons: tuple[str, ...] = ()
    expected: int | None = None


class Display(Protocol):
    """Shows where a request stands while somebody waits for it."""

    def show(self, standing: Standing, waited_seconds: float) -> None:
        """Show it; called at each change and about once a second."""
        ...

    def close(self) -> None:
        """Leave the screen in order."""
        ...


class Silence:
    """Shows nothing."""

    def show(self, standing: Standing, waited_seconds: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Leave everything as it is."""


class LogLines:
    """One line for each change: for logs and pipes, where nothing can be written over."""

    def __init__(self, out: TextIO, words: Words) -> None:
        self._out = out
        self._words = words
        self._shown: list[str] = []

    def show(self, standing: Standing, waited_seconds: float) -> None:
        """Write a line if anything but the time has changed."""
        lines = sentences(standing, self._words)
        if lines != self._shown:
            self._shown = lines
            print(f"[{write_seconds(int(waited_seconds))}]", in_one_line(lines), file=self._out, flush=True)

    def close(self) -> None:
        """Leave what was written."""


class TerminalLines:
    """A few lines that are written over, and gone when the wait is over."""

    def __init__(self, out: TextIO, words: Words) -> None:
        self._out = out
        self._words = words
        self._height = 0

    def show(self, standing: Standing, waited_seconds: float) -> None:
        """Write over what was shown before."""
        size = shutil.get_terminal_size()
        first, *more = sentences(standing, self._words)
        lines = [f"{first} ({write_seconds(int(waited_seconds))})"]
        for line in more:
            lines += wrap(line, max(20, size.columns - 1), initial_indent="  - ", subsequent_indent="    ")
        # What has scrolled away cannot be written over.
        lines = [shortened(line, size.columns - 1) for line in lines[: size.lines - 1]]
        self._out.write(self._erasure() + "\n".join(lines))
        self._out.flush()
        self._height = len(lines)

    def close(self) -> None:
        """Take away what was shown."""
        self._out.write(self._erasure())
        self._out.flush()
        self._height = 0

    def _erasure(self) -> str:
        """Return what leads back to the first line that was shown and clears everything from there."""
        if not self._height:
            return ""
        up = f"\x1b[{self._height - 1}A" if self._height > 1 else ""
        return f"\r{up}\x1b[J"


class NotebookCell:
    """A paragraph in the output of a notebook's cell that is updated in place."""

    def __init__(self, show: Any, words: Words) -> None:  # noqa: ANN401 - IPython's own function, which has no type here
        self._display = show
        self._words = words
        self._handle: Any = None

    def show(self, standing: Standing, waited_seconds: float) -> None:
        """Update the paragraph."""
        first, *more = sentences(standing, self._words)
        items = "".join(f"<li>{escape(line)}</li>" for line in more)
        html = f"<div><b>{escape(first)}</b> ({write_seconds(int(waited_seconds))})<ul>{items}</ul></div>"
        self._put({"text/html": html, "text/plain": in_one_line([first, *more])})

    def close(self) -> None:
        """Empty the paragraph."""
        if self._handle is not None:
            self._put({"text/html": "", "text/plain": ""})

    def _put(self, bundle: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def display_for(words: Words, *, progress: bool, out: TextIO | None = None) -> Display:
    """Return the display that fits where this program runs."""
    if not progress:
        return Silence()
    if out is None and (show := _notebook()) is not None:
        return NotebookCell(show, words)
    out = out or sys.stderr
    return TerminalLines(out, words) if out.isatty() else LogLines(out, words)


def sentences(standing: Standing, words: Words) -> list[str]:
    """Return what to say of a standing, the most important first."""
    name = f"phase_{standing.phase}"
    lines = [words(name if name in words else "phase_other", id=standing.request_id, phase=standing.phase)]
    if standing.place is not None:
        lines.append(words("place", place=standing.place, pending=standing.pending or standing.place))
    lines += standing.reasons
    return [*lines, *expectation(standing.expected, standing.reasons, words)]


def expectation(expected: int | None, reasons: Iterable[str], words: Words) -> list[str]:
    """Return the sentence about the start that is protected, unless there is none or a reason tells of it already."""
    if expected is None:
        return []
    when = write_moment(expected, words)
    return [] if any(when in reason for reason in reasons) else [words("expected", when=when)]


def in_one_line(parts: Sequence[str]) -> str:
    """Return what is to be said, the most important first, as one sentence: for logs, which have a line for it."""
    first, *more = (part.removesuffix(".") for part in parts)
    return f"{first}: {'; '.join(more)}" if more else first


def width_of(text: str) -> int:
    """Return how many columns a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def shortened(text: str, width: int) -> str:
    """Return a text that fits into `width` columns, cut at its end if it does not."""
    if width_of(text) <= width:
        return text
    kept = text
    while kept and width_of(kept) >= width:
        kept = kept[:-1]
    return kept + "…"


def _notebook() -> Any:  # noqa: ANN401 - IPython is not a dependency, so its types are not here
    """Return IPython's `display` in a notebook's kernel, which has imported IPython: elsewhere nobody needs it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    return importlib.import_module("IPython.display").display
