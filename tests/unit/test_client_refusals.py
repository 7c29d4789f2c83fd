"""On the command line the center's refusals are told by the options that they are about."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from haidang.answers import Amounts
from haidang.errors import ArgumentError, InvalidError, Reason, UnreachableError
from haidang.refusals import complaint, made_up
from haidang.words import Words

ENGLISH = Words("en")
GIB = 1024**3


def a_reason(sentence: str, field: str | None = None, **numbers: object) -> Reason:
    return Reason(code="some-code", sentence=sentence, field=field, numbers=numbers)


def refused(*reasons: Reason) -> InvalidError:
    return InvalidError(422, "some-code", "It cannot be", " ".join(one.sentence for one in reasons), reasons)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            a_reason(
                "walltime_seconds must be at most 2,592,000.", "walltime_seconds", problem="not-at-most", bound=2592000
            ),
            "--walltime: at most 30d",
        ),
        (
            a_reason(
                "worker.memory must be at least 16,777,216.", "worker.memory", problem="not-at-least", bound=16777216
            ),
            "--memory: at least 16MiB",
        ),
        (
            a_reason("class must be one of normal, course.", "class", problem="not-one-of", bound="normal, course"),
            "--class: one of normal, course",
        ),
        (
            a_reason("project does not have the required form.", "project", problem="not-of-shape", bound="^a$"),
            "--project: it has to be an institution and its project, as in vmu.vision",
        ),
        (a_reason("pool: there is no foo.", "pool", id="foo"), "--pool: there is no foo."),
        (a_reason("Too large.", "worker", resource="memory", needed=2, largest=1), "--memory: Too large."),
        (a_reason("Too large.", "worker", resource="gpu/a100", needed=2, largest=1), "--gpus: Too large."),
        (a_reason("Too large.", "head", resource="memory", needed=2, largest=1), "Too large."),
        (a_reason("name is strange.", "name", problem="newer-than-this-client"), "--name: name is strange."),
        (a_reason("No."), "No."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_reason_is_told_of_the_option_it_is_about_and_limits_as_they_are_written_there(
    reason: Reason, told: str
) -> None:
    assert complaint(refused(reason), ENGLISH) == told


def test_several_reasons_are_a_line_each_and_none_is_said_twice() -> None:
    both = [
        a_reason("workers.min must be at most 900.", f"workers.{end}", problem="not-at-most", bound=900)
        for end in ("min", "max")
    ]
    assert complaint(refused(*both), ENGLISH) == "--workers: at most 900"
    assert complaint(refused(*both, a_reason("No.")), ENGLISH) == "It cannot be:\n  - --workers: at most 900\n  - No."


def test_what_is_known_beside_a_refusal_is_told_behind_it() -> None:
    error = refused(a_reason("No."))
    error.add_note("Cores: 2 x 1.")
    assert complaint(error, ENGLISH) == "No.\nCores: 2 x 1."


def test_an_argument_that_cannot_be_read_is_told_of_its_option_and_everything_else_as_it_is() -> None:
    assert complaint(ArgumentError("idle", "idle: '3' is no time."), ENGLISH) == "--idle: '3' is no time."
    assert complaint(UnreachableError("Nobody answers."), ENGLISH) == "Nobody answers."
    assert complaint(InvalidError(401, "x", "Title", "Detail.", []), ENGLISH) == "Detail."


CPU: Mapping[str, object] = {"resource": "cpu", "needed": 2540}


@pytest.mark.parametrize(
    ("needs", "language", "lines"),
    [
        ([CPU, CPU], "en", ["Cores: 2 x 1 for workers and 0.54 for the Dask scheduler."]),
        ([CPU], "vi", ["Số lõi: 2 x 1 cho các worker và 0,54 cho Dask scheduler."]),
        (
            [CPU, {"resource": "memory", "needed": 5 * GIB}],
            "en",
            [
                "Cores: 2 x 1 for workers and 0.54 for the Dask scheduler.",
                "Memory: 2 x 2GiB for workers and 1GiB for the Dask scheduler.",
            ],
        ),
        ([{"resource": "gpu/a100", "needed": 2}, {"needed": 12}, {"resource": "cpu", "needed": 1000}, {}], "en", []),
    ],
)
def test_what_a_cluster_needs_is_told_with_the_scheduler_that_people_forget(
    needs: list[Mapping[str, object]], language: str, lines: list[str]
) -> None:
    assert made_up(needs, 2, Amounts(millicores=1000, memory=2 * GIB), Words(language)) == lines
