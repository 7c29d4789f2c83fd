"""What trials of policies have shown, as lines for people and as an object for programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from registry.ids import InstitutionId
from server.speech import Speech
from server.trials import Course, Trial, Trials
from simulator.comparison import Figures, Member, members
from simulator.series import span_of
from simulator.swf import MISSING

SHOWN_AT_EACH_END: Final = 10
"""Institutions that gain most, and as many that lose most, of those that a terminal is shown."""
TIMES: Final = ("mean_wait_seconds", "longest_wait_seconds", "weighted_wait_seconds")
SLOWDOWNS: Final = ("mean_bounded_slowdown", "user_mean_bounded_slowdown")
FIGURES: Final = (
    "mean_wait_seconds",
    "longest_wait_seconds",
    "mean_bounded_slowdown",
    "user_mean_bounded_slowdown",
    "weighted_wait_seconds",
    "utilization",
    "makespan_seconds",
)


def lines(trials: Trials, speech: Speech, *, everybody: bool) -> Iterator[str]:
    """Yield what a terminal is shown; of many institutions only those at the ends, unless `everybody`."""
    yield described(trials, speech)
    yield ""
    yield from speech.table(*figure_table(trials, speech))
    if trials.before is None:
        return
    all_of_them = compared_members(trials)
    yield from ("", speech("institutions"))
    headings, rows = member_table(trials.course, all_of_them, speech)
    hidden = 0 if everybody else max(0, len(rows) - 2 * SHOWN_AT_EACH_END)
    if hidden <= 1:
        yield from speech.table(headings, rows)
        return
    shown = speech.table(headings, [*rows[:SHOWN_AT_EACH_END], *rows[-SHOWN_AT_EACH_END:]])
    yield from shown[: 1 + SHOWN_AT_EACH_END]
    yield speech("between", count=hidden)
    yield from shown[1 + SHOWN_AT_EACH_END :]


def described(trials: Trials, speech: Speech) -> str:
    """Return what was replayed, as one sentence."""
    course = trials.course
    begin, end = span_of(trials.after.outcomes)
    return speech(
        "replayed",
        name=course.name,
        jobs=speech.number(len(course.jobs)),
        begin=speech.date(begin, course.began),
        end=speech.date(end, course.began),
        processors=speech.number(course.site.processors),
        nodes=speech("on_one_node" if course.site.nodes == 1 else "on_small_nodes"),
        members=speech.number(len({course.site.member(job) for job in course.jobs})),
        member=speech(f"member_{course.member}"),
    )


def figure_table(trials: Trials, speech: Speech) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the headings and rows of the figures, before and after if there is a before."""
    names = [*FIGURES, *(["waiting"] if any(run.figures.waiting for run in runs_of(trials)) else [])]
    headings = [speech("figure"), *(run.name for run in runs_of(trials))]
    rows = [[speech(name), *(_written(name, run.figures, speech) for run in runs_of(trials))] for name in names]
    if trials.before is None:
        return headings, rows
    for name, row in zip(names, rows, strict=True):
        row.append(_change(name, trials.before.figures, trials.after.figures, speech))
    return [*headings, speech("change")], rows


def member_table(
    course: Course, compared: Iterable[Member], speech: Speech
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the headings and rows of institutions before and after."""
    names = ("institution", "jobs", "share", "wait_before", "wait_after", "change", "slowdown_before", "slowdown_after")
    rows = [
        [
            name_of(one.institution, course, speech),
            speech.number(one.jobs),
            speech.percent(one.share),
            speech.seconds(one.wait_before_seconds),
            speech.seconds(one.wait_after_seconds),
            speech.seconds(one.wait_change_seconds, sign=True),
            speech.number(one.slowdown_before, 1),
            speech.number(one.slowdown_after, 1),
        ]
        for one in compared
    ]
    return [speech(name) for name in names], rows


def answer(trials: Trials) -> Mapping[str, Any]:
    """Return everything that trials have shown, for programs: times in seconds, parts from 0 to 1."""
    course = trials.course
    return {
        "trace": course.name,
        "jobs": len(course.jobs),
        "processors": course.site.processors,
        "nodes": course.site.nodes,
        "member": course.member,
        "policy": _told(trials.after),
        "against": _told(trials.before) if trials.before else None,
        "institutions": [
            {
                **asdict(one),
                "institution": _called(one.institution, course),
                "wait_change_seconds": one.wait_change_seconds,
            }
            for one in compared_members(trials)
        ],
    }


def compared_members(trials: Trials) -> Sequence[Member]:
    """Return every institution, who gains most first; without a comparison each is what it was."""
    before = trials.before or trials.after
    return members(before.outcomes, trials.after.outcomes)


def runs_of(trials: Trials) -> Sequence[Trial]:
    """Return what was tried, before and then after."""
    return [trials.before, trials.after] if trials.before else [trials.after]


def name_of(institution: InstitutionId, course: Course, speech: Speech) -> str:
    """Return what people call an institution of a log: it has numbers alone."""
    number = _number(institution)
    if number in course.names:
        return course.names[number]
    what = speech(f"member_{course.member}")
    return f"{what} {speech('unknown_member') if number == MISSING else number}"


def _called(institution: InstitutionId, course: Course) -> int | str:
    number = _number(institution)
    return course.names.get(number, number)


def _number(institution: InstitutionId) -> int:
    return int(institution.removeprefix("g"))


def _told(trial: Trial) -> Mapping[str, Any]:
    return {"name": trial.name, **asdict(trial.figures)}


def _written(name: str, figures: Figures, speech: Speech) -> str:
    value = getattr(figures, name)
    if name in SLOWDOWNS:
        return speech.number(value, 2)
    if name == "utilization":
        return speech.percent(value)
    return speech.number(value) if name == "waiting" else speech.seconds(value)


def _change(name: str, before: Figures, after: Figures, speech: Speech) -> str:
    """Return by how much something grew: times and slowdowns as a part of what they were, parts by their difference."""
    old, new = getattr(before, name), getattr(after, name)
    signed = partial(speech.percent, sign=True)
    if name == "utilization":
        return speech("points", change=signed(new - old).removesuffix("%"))
    return signed(new / old - 1) if old else ""
