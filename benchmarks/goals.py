"""What each benchmark has to reach, read from the table that says it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GOALS: Final = Path(__file__).with_name("goals.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One benchmark's goal: a bound, in `unit`, that its value stays under or reaches."""

    name: str
    about: str
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        """Refuse a goal that any value would reach."""
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"the goal of {self.name} needs either at_most or at_least")

    def holds(self, value: float) -> bool:
        """Tell whether a value reaches the goal."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    @property
    def bound(self) -> str:
        """Return the goal in words."""
        return f"at least {self.at_least:g}" if self.at_most is None else f"at most {self.at_most:g}"

    def last_line(self, value: float) -> str:
        """Return what a run ends with, for people and for programs that compare runs."""
        return f"{self.name}: {value:.3g} {self.unit} (goal {self.bound})"


def read_goals(path: Path = GOALS) -> dict[str, Goal]:
    """Return the goals by the names of their benchmarks."""
    return {name: Goal(name=name, **fields) for name, fields in tomllib.loads(path.read_text(encoding="utf-8")).items()}
