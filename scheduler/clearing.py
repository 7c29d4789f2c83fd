"""The sizes at which those who share some capacity are worth the same to each other: a price that clears it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from registry.axes import Floats, Ints

_HALVINGS: Final = 48


@dataclass(frozen=True, slots=True, eq=False)
class Bidders:
    """Clusters that share, in their order, one row each: what of their work can be shared, what a worker weighs.

    Each gets `least` workers whatever the price, and never more than `most`.
    """

    fraction: Floats
    weight: Floats
    least: Ints
    most: Ints

    def sizes(self, price: float) -> Ints:
        """Return how many workers each takes at a price of weight and time.

        What is left of a job costs left x ((1 - f) + f / n) x (1 + price x weight x n) when it is run on n workers:
        its own delay, and that of whoever could have had them. That is least at n = sqrt(f / ((1 - f) price weight)),
        whatever is left.
        """
        serial = 1 - self.fraction
        cost = np.where(serial > 0, serial * price * self.weight, 1.0)
        wish = np.floor(np.sqrt(self.fraction / cost) + 0.5)
        most = np.where(serial > 0, np.minimum(wish, self.most), self.most)
        return np.asarray(np.maximum(most, self.least), dtype=np.int64)

    def takes(self, sizes: Ints) -> float:
        """Return the weight of all workers at some sizes."""
        return float((self.weight * sizes).sum())


def cleared(bidders: Bidders, budget: float) -> Ints:
    """Return how many workers each should have so that a weight is used up: those that one price gives.

    What is left over where the price makes a step goes to the first in order. Work of which everything can be shared
    takes all it may at any price: there the order alone decides.
    """
    low, high = _bounds(bidders)
    if bidders.takes(bidders.sizes(low)) <= budget:
        return bidders.sizes(low)
    smallest = float(bidders.weight.min())
    for _ in range(_HALVINGS if low < high else 0):
        if 0 <= budget - bidders.takes(bidders.sizes(high)) < smallest:
            break
        price = float(np.sqrt(low * high))
        low, high = (low, price) if bidders.takes(bidders.sizes(price)) <= budget else (price, high)
    sizes, more = bidders.sizes(high), bidders.sizes(low)
    if bidders.takes(sizes) > budget:
        sizes = np.where(bidders.fraction < 1, sizes, bidders.least)
    if bidders.takes(sizes) > budget:
        sizes = bidders.least
    return _with_rest(bidders, sizes, more, budget)


def _with_rest(bidders: Bidders, sizes: Ints, more: Ints, budget: float) -> Ints:
    """Give what is left of a budget to the first in order, each as far as the larger size."""
    sizes, left = sizes.copy(), budget - bidders.takes(sizes)
    for row in np.flatnonzero(more > sizes):
        taken = min(int(more[row] - sizes[row]), int(left / bidders.weight[row] + 1e-9))
        if taken > 0:
            sizes[row] += taken
            left -= taken * float(bidders.weight[row])
    return sizes


def _bounds(bidders: Bidders) -> tuple[float, float]:
    """Return a price at which everybody takes all they may, and one at which nobody takes more than they have to."""
    sloped = (bidders.fraction > 0) & (bidders.fraction < 1)
    if not sloped.any():
        return 1.0, 1.0
    worth = bidders.fraction[sloped] / ((1 - bidders.fraction[sloped]) * bidders.weight[sloped])
    return float(worth.min() / (4 * float(bidders.most.max()) ** 2 + 1)), float(worth.max() * 4)
