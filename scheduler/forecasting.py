"""From signs to intervals: what comparable waits came to, learnt online from the outcomes of one pool."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, exp, expm1, floor, log
from typing import Final

import numpy as np

from registry.axes import Floats, Ints
from registry.ids import Seconds
from scheduler.estimates import KEPT_OUTCOMES, SIGNS, Outcome, Side, Signs, Span

# The columns of what is learnt from, one row an outcome: its number, its signs, its wait, and the two sides.
NUMBER, FIRST_SIGN = 0, 1
WAITED, HALF, MOST = FIRST_SIGN + SIGNS, FIRST_SIGN + SIGNS + 1, FIRST_SIGN + SIGNS + 2
LEARNT_COLUMNS: Final = MOST + 1

_SCALE_SECONDS: Final = 60.0
"""Waits are compared by ratio from about here on, and by difference below."""
_STIFFNESS: Final = 30.0
_PRIOR_WAIT_IS_ALL_WORK: Final = np.eye(1 + SIGNS)[1]
_NEAREST: Final = 200
_ALIKE: Final = [3, 4, 5, 7]
"""By which columns outcomes are alike: ahead, first_room, planned and walltime."""
# In their tails no two are alike: between equals a side that is missed would not move for a while.
_PRIOR_RESIDUALS: Final = np.interp(
    np.linspace(0, 19, 40),
    np.arange(20),
    [-4.0, -3, -2, -1.5, -1, -0.7, -0.5, -0.3, -0.1, 0, 0, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.3, 1.6, 2],
)
"""What is expected of an unknown pool: waits from a fiftieth to seven times of what all work there would take."""
_STEP: Final = 0.02
_NARROWEST, _WIDEST = log(0.3), log(5.0)
_RAREST, _OFTENEST = 0.004, 0.25
"""Between these chances the quantile lies that the wide interval reaches up to."""
_FIRST_BELOW, _LAST_BELOW = 0.4, 0.0
_FIRST_ABOVE, _LAST_ABOVE = 1.2, 0.15
"""The caution of the wide interval's sides before anything is known and in the end, as logs of factors of width."""


def table_of(outcomes: Iterable[Outcome]) -> Ints:
    """Return outcomes of one pool as what is learnt from."""
    rows = [learnt_row(one) for one in outcomes]
    return np.array(rows, dtype=np.int64).reshape(-1, LEARNT_COLUMNS)


def learnt_row(one: Outcome) -> tuple[int, ...]:
    """Return what is learnt from an outcome: a row of the columns above."""
    return one.number, *one.estimate.signs.row(), one.waited, one.half_side, one.most_side


class Forecaster:
    """Foresees waits in a pool from its latest outcomes; without any it says what is expected of an unknown pool.

    The log of a wait is regressed on the logs of its signs, by ridge toward "the wait is all the work there is". Its
    interval is cut from the residuals of the outcomes most alike in their signs, beside a few given ones for what was
    never seen. Each side of an interval then moves by how much more often it was missed than it should have been: the
    integral of Gibbs and Candes, "Adaptive conformal inference under distribution shift" (NeurIPS 2021), over the
    outcomes that are kept, so that how often an interval holds is right whatever the waits are distributed like, and
    however they drift. Most sides are stretched by it; the upper one of the wide interval, which a few long waits
    would stretch for everybody, reaches up to another quantile instead, and is wide by caution while little is known.
    Nothing is kept beside the outcomes themselves.
    """

    def __init__(self, learnt: Ints) -> None:
        """Take what is learnt from: one row an outcome, in any order."""
        rows = learnt[np.argsort(learnt[:, NUMBER], kind="stable")]
        signs = _logs(rows[:, FIRST_SIGN:WAITED])
        waits = np.log1p(rows[:, WAITED] / _SCALE_SECONDS)
        stiffness = np.diag([_STIFFNESS / 10, *[_STIFFNESS] * SIGNS])
        pulled = stiffness @ _PRIOR_WAIT_IS_ALL_WORK
        self._weights: Final[Floats] = np.linalg.solve(signs.T @ signs + stiffness, signs.T @ waits + pulled)
        self._residuals: Final[Floats] = waits - signs @ self._weights
        self._alike: Final[Floats] = signs[:, _ALIKE]
        half, most = rows[:, HALF], rows[:, MOST]
        unknown = max(0.0, 1 - len(rows) / KEPT_OUTCOMES)
        below = _LAST_BELOW + (_FIRST_BELOW - _LAST_BELOW) * unknown
        above = _LAST_ABOVE + (_FIRST_ABOVE - _LAST_ABOVE) * unknown
        self._half: Final = _stretch(_surplus(half, Side.EARLIER, 0.25)), _stretch(_surplus(half, Side.LATER, 0.25))
        self._most: Final = _stretch(below + _surplus(most, Side.EARLIER, 0.05)), exp(above)
        later = 0.05 * exp(-_surplus(most, Side.LATER, 0.05))
        self._levels: Final = (0.05, 0.25, 0.5, 0.75, 1 - min(max(later, _RAREST), _OFTENEST))

    def spans(self, signs: Signs, now: Seconds) -> tuple[Span, Span]:
        """Return when a request with these signs starts that waits from now on: in 50 and in 90 of 100."""
        row = _logs(np.array([signs.row()]))[0]
        residuals = np.concatenate([self._nearest(row[_ALIKE]), _PRIOR_RESIDUALS])
        least, early, middle, late, longest = (
            _SCALE_SECONDS * expm1(float(row @ self._weights + residual))
            for residual in np.quantile(residuals, self._levels)
        )
        half = _stretched(middle, early, late, self._half)
        most = _stretched(middle, least, longest, self._most)
        widest = min(half[0], most[0]), max(half[1], most[1])
        return _span(half, now), _span(widest, now)

    def _nearest(self, row: Floats) -> Floats:
        if len(self._residuals) <= _NEAREST:
            return self._residuals
        distances = ((self._alike - row) ** 2).sum(axis=1)
        return np.asarray(self._residuals[np.argsort(distances, kind="stable")[:_NEAREST]])


def _logs(signs: Ints) -> Floats:
    """Return the signs as they are regressed on, behind a one: a part by its log, seconds as waits are."""
    seconds = np.log1p(signs / _SCALE_SECONDS)
    seconds[:, -2] = np.log(np.maximum(signs[:, -2], 1) / 1e6)
    return np.concatenate([np.ones((len(signs), 1)), seconds], axis=1)


def _surplus(sides: Ints, side: Side, wanted: float) -> float:
    """Return by how many more outcomes than wanted came to lie on a side, in steps."""
    return _STEP * float((sides == side).sum() - wanted * len(sides))


def _stretch(amount: float) -> float:
    return exp(min(max(amount, _NARROWEST), _WIDEST))


def _stretched(middle: float, low: float, high: float, by: tuple[float, float]) -> tuple[float, float]:
    return max(0.0, middle - (middle - low) * by[0]), max(0.0, middle + (high - middle) * by[1])


def _span(waits: tuple[float, float], now: Seconds) -> Span:
    return Span(earliest=Seconds(now + floor(waits[0])), latest=Seconds(now + ceil(waits[1])))
