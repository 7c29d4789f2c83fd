"""Plots of trials as pieces of SVG, whose colours are those of the page that shows them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from server.speech import Speech
from server.telling import compared_members, name_of, runs_of
from server.trials import Course, Trial, Trials
from simulator.comparison import Member
from simulator.report import Outcome
from simulator.series import Series, held, queued, span_of

_WIDTH, _HEIGHT = 8.0, 2.8
_BAR_HEIGHT: Final = 0.28
_ROWS: Final = 20
_POINTS: Final = 300
_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_WAITS: Final = (("minute", 60), ("hour", _HOUR), ("whole_day", _DAY), ("week", 7 * _DAY))

# Stand-ins that nothing else is drawn in: the page's style says what each looks like, by day and by night.
_INK, _FAINT, _BEFORE, _AFTER, _GAIN, _LOSS = "#010203", "#010204", "#010205", "#010206", "#010207", "#010208"
_COLOURS: Final = {
    _INK: "currentColor",
    _FAINT: "var(--faint)",
    _BEFORE: "var(--before)",
    _AFTER: "var(--after)",
    _GAIN: "var(--gain)",
    _LOSS: "var(--loss)",
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # letters stay letters: the page's font, found by a search, small
    "svg.hashsalt": "haidang",  # the same trials make the same page
    "font.size": 9,
    "figure.frameon": False,
    "axes.facecolor": "none",
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _FAINT,
    "grid.linewidth": 0.5,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "path.simplify": True,
}


def waits(trials: Trials, speech: Speech) -> str:
    """Return how large a part of all jobs waits longer than a time, over times from seconds to weeks."""

    def draw(axes: Axes) -> None:
        for run, colour in _coloured(trials):
            points = list(_longer(run.outcomes))
            axes.plot(
                [x for x, _ in points], [y for _, y in points], color=colour, label=run.name, drawstyle="steps-post"
            )
        axes.set_xscale("log")
        axes.set_xticks([seconds for _, seconds in _WAITS], [speech(name) for name, _ in _WAITS])
        axes.minorticks_off()
        axes.set_ylim(0, None)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda part, _: speech.percent(part)))
        axes.set_xlabel(speech("plot_waits_x"))
        axes.set_ylabel(speech("plot_waits_y"))
        axes.legend()

    return _drawn(_HEIGHT, draw)


def utilization(trials: Trials, speech: Speech) -> str:
    """Return the part of the machine that is held, over time."""
    span, processors = span_of(*(run.outcomes for run in runs_of(trials))), trials.course.site.processors

    def draw(axes: Axes) -> None:
        for run, colour in _coloured(trials):
            _over_time(axes, held(run.outcomes, processors, span), trials.course, (colour, run.name))
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda part, _: speech.percent(part)))
        _time_axis(axes, trials.course, speech)

    return _drawn(_HEIGHT, draw)


def queue(trials: Trials, speech: Speech) -> str:
    """Return how many jobs wait, over time."""
    span = span_of(*(run.outcomes for run in runs_of(trials)))

    def draw(axes: Axes) -> None:
        for run, colour in _coloured(trials):
            _over_time(axes, queued(run.outcomes, span), trials.course, (colour, run.name))
        axes.set_ylim(0, None)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: speech.number(count)))
        _time_axis(axes, trials.course, speech)

    return _drawn(_HEIGHT, draw)


def changes(trials: Trials, speech: Speech) -> str:
    """Return by how much longer or shorter institutions wait, those with the largest changes."""
    rows = largest_changes(compared_members(trials))[::-1]

    def draw(axes: Axes) -> None:
        hours = [one.wait_change_seconds / _HOUR for one in rows]
        colours = [_LOSS if one > 0 else _GAIN for one in hours]
        axes.barh([name_of(one.institution, trials.course, speech) for one in rows], hours, color=colours)
        axes.axvline(0, color=_INK, linewidth=0.8)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: speech.number(value, 1)))
        axes.set_xlabel(speech("hours"))

    return _drawn(1.0 + _BAR_HEIGHT * len(rows), draw)


def largest_changes(compared: Sequence[Member]) -> Sequence[Member]:
    """Return the institutions with the largest changes, who gains most first."""
    largest = sorted(compared, key=lambda one: -abs(one.wait_change_seconds))[:_ROWS]
    return [one for one in compared if one in largest]


def _coloured(trials: Trials) -> Iterator[tuple[Trial, str]]:
    return zip(runs_of(trials), (_BEFORE, _AFTER) if trials.before else (_AFTER,), strict=True)


def _longer(outcomes: Iterable[Outcome]) -> Iterator[tuple[float, float]]:
    """Yield times and the part of all jobs that wait longer; of many points as many as can be seen."""
    found = sorted(one.wait_seconds for one in outcomes)
    # A logarithm has no place for nothing: those who start at once are what the curve lacks at its begin.
    at_once = bisect_right(found, 1)
    yield 1, 1 - at_once / len(found)
    for place in sorted({at_once + (len(found) - at_once) * step // _POINTS for step in range(1, _POINTS + 1)}):
        yield max(found[place - 1], 1), 1 - place / len(found)


def _over_time(axes: Axes, series: Series, course: Course, look: tuple[str, str]) -> None:
    first = (course.began or 0) + series.begin
    days = [(first + at * series.step_seconds) / _DAY for at in range(len(series.values))]
    colour, name = look
    axes.plot(days, series.values, color=colour, label=name, linewidth=1)


def _time_axis(axes: Axes, course: Course, speech: Speech) -> None:
    axes.legend()
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if course.began is None:
        axes.set_xlabel(speech("days"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: speech.number(day)))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: speech.date(round(day * _DAY), 0)))


def _drawn(height: float, draw: Callable[[Axes], None]) -> str:
    """Return a figure as a piece of SVG for a page, without a head and of the page's width."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = out.getvalue()
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg[svg.index("<svg") :], count=1
    )
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # nobody refers to groups, and several plots have the same
    for stand_in, colour in _COLOURS.items():
        svg = svg.replace(stand_in, colour)
    return svg
