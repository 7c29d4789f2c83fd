"""The benchmarks' door: what it lists, what a run ends with, and what its exit status says."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.door import COULD_NOT_RUN, HOLDS, MISSED, main
from benchmarks.figures import Measured, lines, percentile, spread
from benchmarks.goals import Goal, read_goals

QUICK = Goal(name="quick", about="how quick it is", unit="s", at_most=0.3)
MANY = Goal(name="many", about="how many there are", unit="things/s", at_least=100.0)
GOALS = {goal.name: goal for goal in (QUICK, MANY)}
TABLE = (("", "s"), ("ours", "0.25"), ("theirs", "0.93"))


def measuring(value: float) -> Callable[[str], Callable[..., Measured]]:
    return lambda _name: lambda: Measured(value=value, table=TABLE)


def breaking(_name: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        raise OSError("no disk")

    return measure


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("quick", 0.25, HOLDS),
        ("quick", 0.3, HOLDS),
        ("quick", 0.31, MISSED),
        ("many", 99.0, MISSED),
        ("many", 100.0, HOLDS),
    ],
)
def test_the_exit_status_says_whether_the_goal_holds(name: str, value: float, status: int) -> None:
    assert main([name], GOALS, measuring(value)) == status


def test_a_run_prints_its_table_and_ends_with_one_line_about_the_goal(capsys: pytest.CaptureFixture[str]) -> None:
    main(["quick"], GOALS, measuring(0.2468))
    printed = capsys.readouterr().out.splitlines()
    assert "theirs  0.93" in printed
    assert printed[-1] == "quick: 0.247 s (goal at most 0.3)"


def test_a_goal_to_reach_is_told_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["many"], GOALS, measuring(270.4))
    assert capsys.readouterr().out.splitlines()[-1] == "many: 270 things/s (goal at least 100)"


def test_what_could_not_run_says_why_and_claims_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quick"], GOALS, breaking) == COULD_NOT_RUN
    printed = capsys.readouterr()
    assert "no disk" in printed.err
    assert "goal" not in printed.out


@pytest.mark.parametrize("arguments", [["unheard-of"], ["quick", "many"]])
def test_what_is_no_benchmark_cannot_run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, GOALS, measuring(0.1)) == COULD_NOT_RUN
    assert "quick, many" in capsys.readouterr().err


def test_options_are_handed_to_what_measures_and_one_that_takes_none_could_not_run() -> None:
    taken: list[str] = []

    def measure(*options: str) -> Measured:
        taken.extend(options)
        return Measured(value=0.1, table=TABLE)

    assert main(["quick", "--first", "10"], GOALS, lambda _name: measure) == HOLDS
    assert taken == ["--first", "10"]
    assert main(["quick", "--first", "10"], GOALS, measuring(0.1)) == COULD_NOT_RUN


def test_without_a_name_all_are_listed_with_their_goals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], GOALS, breaking) == HOLDS
    assert capsys.readouterr().out.splitlines() == [
        "quick  how quick it is; goal: at most 0.3 s",
        "many   how many there are; goal: at least 100 things/s",
    ]


def test_every_goal_has_a_module_that_measures_it() -> None:
    on_one_machine = ["time-to-cluster", "grow", "idle-cost", "density", "submit"]
    on_kubernetes = ["kube-burst", "kube-gang", "kube-writes", "kube-kills", "kube-start"]
    of_the_engine = ["schedules", "replay-speed", "loop-speed", "cycle", "elastic", "rigid", "estimates", "fairness"]
    assert list(read_goals()) == on_one_machine + on_kubernetes + of_the_engine
    for name in read_goals():
        assert importlib.util.find_spec(f"benchmarks.{name.replace('-', '_')}"), name


@pytest.mark.parametrize("bounds", ["", "at_most = 1\nat_least = 1"])
def test_a_goal_has_one_bound(tmp_path: Path, bounds: str) -> None:
    table = tmp_path / "goals.toml"
    table.write_text(f'[odd]\nabout = "nothing"\nunit = "s"\n{bounds}\n')
    with pytest.raises(ValueError, match="either at_most or at_least"):
        read_goals(table)


def test_a_table_lines_up_its_numbers() -> None:
    assert list(lines((("", "s"), ("ours", "10.25"), ("the others", "0.9")))) == [
        "                s",
        "ours        10.25",
        "the others    0.9",
    ]


def test_a_tail_is_what_few_exceed() -> None:
    hundred_and_one = [float(value) for value in range(101)]
    assert percentile(hundred_and_one, 99) == 99.0
    assert percentile([7.0], 99) == 7.0


def test_a_peer_is_compared_by_medians() -> None:
    assert spread("theirs", [0.8, 0.9, 7.0], [0.2, 0.3, 0.4]) == ("theirs", "0.900", "0.800", "7.000", "3", "3.0 x")
