"""Amounts as rows of numbers, one column for each resource, so that thousands are compared at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from registry.resources import GpuModel, Resources

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PLACES: Final = 2
"""The column of places: a process takes one of its node, however small it is."""
PLENTY: Final = 2**40
"""So many places as nobody counts: what has no limit of them."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Which column says what: milli-cores, bytes, places, then whole GPUs of each model."""

    models: tuple[GpuModel, ...] = ()

    @property
    def width(self) -> int:
        """Return how many columns a row has."""
        return PLACES + 1 + len(self.models)

    def row(self, amount: Resources, places: int = 0) -> tuple[int, ...]:
        """Return an amount, and the places it takes, as a row."""
        if not self.models:
            return amount.millicores, amount.memory, places
        counts = dict(amount.gpus)
        return amount.millicores, amount.memory, places, *(counts.get(model, 0) for model in self.models)

    def amount(self, row: Sequence[int] | Ints) -> Resources:
        """Return the amount that a row says, without its places."""
        millicores, memory, _, *counts = map(int, row)
        gpus = tuple((model, count) for model, count in zip(self.models, counts, strict=True) if count)
        return Resources(millicores=millicores, memory=memory, gpus=gpus)

    def with_models_of(self, amounts: Iterable[Resources]) -> Axes:
        """Return axes that have a column for every model of these amounts, too; themselves if they have already."""
        models = {model for amount in amounts for model, _ in amount.gpus} | set(self.models)
        return self if len(models) == len(self.models) else Axes(tuple(sorted(models)))


def within(amounts: Ints, limit: Ints) -> Bools:
    """Tell for each row of amounts whether no number exceeds its counterpart in the limit (or in the limit's row)."""
    return np.asarray(np.logical_and.reduce(amounts <= limit, axis=-1))


def any_of(numbers: Ints | Bools) -> bool:
    """Tell whether any is not zero: of a few numbers, as of many, in a fraction of the time of their own `any`."""
    return bool(np.count_nonzero(numbers))


def all_of(flags: Bools) -> bool:
    """Tell whether all are set, as fast."""
    return bool(np.count_nonzero(flags) == flags.size)


def exceeds(amount: Ints, limit: Ints) -> bool:
    """Tell whether an amount has more of any resource than a limit that says nothing of places."""
    beyond = amount > limit
    beyond[PLACES] = False
    return any_of(beyond)


def rows_where(flags: Ints | Bools) -> Ints:
    """Return where one row of numbers is not zero: `np.flatnonzero` without what that costs for a few."""
    return flags.nonzero()[0]


def parts(amounts: Ints, whole: Ints) -> Floats:
    """Return for each row the largest part of `whole` that it takes, in millionths: its dominant share.

    As `dominant_ppm`, unrounded. A number that `whole` does not have counts as all of it; places are no resource.
    """
    taken = amounts * 1e6 / np.where(whole > 0, whole, 1)
    taken = np.where((whole <= 0) & (amounts > 0), 1e6, taken)
    taken[..., PLACES] = 0.0
    return np.asarray(taken.max(axis=-1), dtype=np.float64)
