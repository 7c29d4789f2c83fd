"""Numbers of everything that requests refer to, and what follows from a number alone: gangs, prices, rows of shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from quotas.grants import NOBODY, Structure
from quotas.rates import RateCard, price_of_all
from registry.axes import Axes, Ints
from registry.ids import BookingId, PersonId, PoolId, ProjectId, ShareId
from registry.resources import Resources
from scheduler.fitting import Gang
from scheduler.policy import ClassRule
from scheduler.requests import Draft, RequestClass
from scheduler.tables import Numbers

NOT_SOLD: Final = -1
UNKNOWN: Final = -1

Spot = tuple[PoolId, BookingId | None]
"""Where requests may go: to the nodes of a pool, or to those of a booking there."""
Vertex = tuple[ShareId, PoolId]
ByPerson = tuple[PersonId, RequestClass]
Shape = tuple[PoolId, Resources, Resources, int]
"""All that matters of a gang to nodes: its pool, its head, its worker, and how many of them."""


@dataclass(frozen=True, slots=True)
class Priced:
    """All that matters of a gang to its price."""

    shape: Shape
    seconds: int
    request_class: RequestClass


class Prices:
    """What gangs cost by one rate card and the price factors of classes: each is worked out once."""

    def __init__(self, card: RateCard | None, classes: Mapping[RequestClass, ClassRule]) -> None:
        self.card: Final = card
        self.classes: Final = classes
        self.dearest = 0
        self.sells_all = True
        self._known: Ints = np.zeros(0, dtype=np.int64)

    def of(self, one: Priced) -> int:
        """Return the price of holding a gang for its time, NOT_SOLD where its pool has no rule."""
        pool, head, worker, count = one.shape
        rule = self.card.rule(pool) if self.card else None
        if rule is None:
            return NOT_SOLD
        percent = self.classes[one.request_class].price_percent
        return price_of_all(rule, (head,) + (worker,) * count, one.seconds, percent=percent)

    def of_all(self, gangs: Numbers[Priced]) -> Ints:
        """Return the price of each gang, by its number."""
        known = self._known
        if len(known) < len(gangs):
            # Of threads that find this out at the same time each adds to what it knew: nothing is added twice.
            more = [self.of(one) for one in gangs.since(len(known))]
            self.dearest, self.sells_all = max(self.dearest, *more), self.sells_all and NOT_SOLD not in more
            known = self._known = np.concatenate([known, np.array(more, dtype=np.int64)])
        return known

    def apart(self) -> Prices:
        """Return what is known for somebody who adds gangs that nobody else is to know."""
        twin = Prices(self.card, self.classes)
        twin.dearest, twin.sells_all, twin._known = self.dearest, self.sells_all, self._known
        return twin


class Names:
    """Numbers of everything that requests refer to, shared by all snapshots that come of one another."""

    def __init__(self) -> None:
        self.pools: Final[Numbers[PoolId]] = Numbers()
        self.spots: Final[Numbers[Spot]] = Numbers()
        self.vertices: Final[Numbers[Vertex]] = Numbers()
        self.payers: Final[Numbers[ProjectId]] = Numbers()
        self.by_person: Final[Numbers[ByPerson]] = Numbers()
        self.codes: Final[Numbers[tuple[str, ...]]] = Numbers()
        self.shapes: Final[Numbers[Shape]] = Numbers()
        self.priced: Final[Numbers[Priced]] = Numbers()
        self.wholes: tuple[Structure | None, Ints] = None, np.zeros((0, 0), dtype=np.int64)
        self._rows: tuple[Structure | None, Ints, bool] = None, np.zeros(0, dtype=np.int64), True
        self._gangs: dict[int, Gang] = {}
        self._totals: Ints = np.zeros(0, dtype=np.int64)
        self.memory: Final[dict[Spot, object]] = {}
        """What whoever sets things aside remembers of the last cycle."""
        self._codes_of_bits: Ints = np.zeros(0, dtype=np.int64)
        self._prices = Prices(None, {})

    def apart(self) -> Names:
        """Return the same numbers for somebody who adds some that nobody else is to know."""
        twin = Names.__new__(Names)
        for name, value in vars(self).items():
            kept = value.apart() if isinstance(value, Numbers | Prices) else value
            setattr(twin, name, dict(value) if isinstance(value, dict) else kept)
        return twin

    def rows_of(self, structure: Structure) -> Ints:
        """Return for each vertex that was mentioned its row in the structure, NOBODY for those that have none."""
        return self._rows_in(structure)[1]

    def all_have_shares(self, structure: Structure) -> bool:
        """Tell whether each vertex that was mentioned has a row in the structure."""
        return self._rows_in(structure)[2]

    def _rows_in(self, structure: Structure) -> tuple[Structure | None, Ints, bool]:
        known = self._rows
        if known[0] is not structure or len(known[1]) < len(self.vertices):
            found = [structure.row_of.get(vertex, NOBODY) for vertex in self.vertices]
            known = self._rows = structure, np.array(found, dtype=np.int64), NOBODY not in found
        return known

    def codes_of_bits(self, kinds: int) -> Ints:
        """Return a place for the number of the codes of every choice of so many kinds, UNKNOWN until it is filled."""
        if not len(self._codes_of_bits):
            self._codes_of_bits = np.full(1 << kinds, UNKNOWN, dtype=np.int64)
        return self._codes_of_bits

    def totals(self, axes: Axes) -> Ints:
        """Return what each gang takes altogether, by the number of its shape."""
        known = self._totals
        if len(known) < (count := len(self.shapes)):
            # Threads share names: what one adds meanwhile, another may work out again, and nothing is added twice.
            more = [self.gang(shape, axes).total for shape in range(len(known), count)]
            known = self._totals = np.concatenate((known.reshape(-1, axes.width), more))
        return known

    def gang(self, shape: int, axes: Axes) -> Gang:
        """Return the gang of a shape by its number; all who share these names have the same axes."""
        if (gang := self._gangs.get(shape)) is None:
            _, head, worker, count = self.shapes.key(shape)
            gang = self._gangs[shape] = Gang.of_shapes(head, worker, count, axes)
        return gang

    def prices_by(self, card: RateCard | None, classes: Mapping[RequestClass, ClassRule]) -> Prices:
        """Return what gangs cost by a card, as it was asked last if it was asked of the same."""
        if self._prices.card is not card or self._prices.classes is not classes:
            self._prices = Prices(card, classes)
        return self._prices


def shape_of(draft: Draft) -> Shape:
    """Return all that matters of a gang to nodes."""
    return draft.pool, draft.head, draft.worker, draft.workers_min
