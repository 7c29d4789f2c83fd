"""What leaves a pool of what runs there, and what each node has back by then."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np

from registry.axes import Ints, all_of
from registry.ids import Seconds

_MOST_KNOWN: Final = 64
"""Of so many moments what has left by then is remembered: each is a table of all nodes."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What runs in a pool and when each process is gone at the latest, in the order of time.

    One row each: the moment, the row of its node, the row of its share, and its shape. What runs where no new work
    goes has no node: nothing comes back there.
    """

    times: Ints
    nodes: Ints
    shares: Ints
    shapes: Ints


class Departures:
    """What each node has back of that, as tables that look `like` that of the nodes."""

    def __init__(self, leaving: Leaving, like: Ints) -> None:
        times, nodes, shapes, here = leaving.times, leaving.nodes, leaving.shapes, leaving.nodes >= 0
        if not all_of(here):
            times, nodes, shapes = times[here], nodes[here], shapes[here]
        self.times: Final = times
        self.shapes: Final = shapes
        self._nodes: Final = nodes
        self._known: Final[tuple[list[int], list[Ints]]] = [0], [np.zeros(like.shape, dtype=np.int64)]
        """What each node has back once the first so many processes have left, for some numbers of them, in order."""

    def by(self, at: Seconds) -> Ints:
        """Return what each node has back at a moment, worked out from the nearest before that is known."""
        count = int(self.times.searchsorted(at, "right"))
        counts, known = self._known
        nearest = bisect_right(counts, count) - 1
        if counts[nearest] == count:
            return known[nearest]
        back = known[nearest].copy()
        nodes, shapes = self._nodes[counts[nearest] : count], self.shapes[counts[nearest] : count]
        for column in range(back.shape[1]):
            # Bytes on a machine are far fewer than the 2^53 that sums of floats are exact to.
            more = np.bincount(nodes, weights=shapes[:, column], minlength=len(back))
            back[:, column] += more.astype(np.int64)
        if len(counts) < _MOST_KNOWN:
            counts.insert(nearest + 1, count)
            known.insert(nearest + 1, back)
        return back
