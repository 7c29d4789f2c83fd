"""Who of those that were overtaken for long is promised a latest start next: institutions take turns, and their people.

Otherwise one person's many wide requests could have all that a pool has of them.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from registry.axes import Ints
from registry.ids import InstitutionId, PersonId
from scheduler import arrays as columns
from scheduler.arrays import Arrays
from scheduler.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lane:
    """The requests of a class that one person has in one institution, by their places among all: the oldest first."""

    institution: InstitutionId
    person: PersonId
    places: deque[int]


class Overtaken:
    """Pending requests of one spot, each of which is chosen once at the most."""

    def __init__(self, arrays: Arrays, rows: list[int]) -> None:
        """Take them by their rows in the queue, the oldest first."""
        self._arrays: Final = arrays
        self._rows: Final = rows
        self._lanes: Final[dict[InstitutionId, list[_Lane]]] = {}
        for places in self._apart():
            lane = self._lane(places)
            self._lanes.setdefault(lane.institution, []).append(lane)

    def chosen(self, count: int, having: Iterable[Request], is_hopeless: Callable[[int], bool]) -> list[int]:
        """Return the rows of as many that are next, the oldest first, without those that are hopeless.

        Of the institutions that have the fewest, by the requests `having` a latest start, the one whose request is the
        oldest is next; of its people who has the fewest, with the oldest.
        """
        if count <= 0:
            return []
        some = list(having)
        of_institution = Counter(one.institution for one in some)
        of_person = Counter((one.institution, one.person) for one in some)
        heads: list[tuple[int, int, _Lane]] = []

        def queue_up(institution: InstitutionId) -> None:
            lanes = self._lanes[institution] = [one for one in self._lanes[institution] if _has_any(one, drop)]
            if lanes:
                lane = min(lanes, key=lambda one: (of_person[institution, one.person], one.places[0]))
                heapq.heappush(heads, (of_institution[institution], lane.places[0], lane))

        def drop(place: int) -> bool:
            return is_hopeless(self._rows[place])

        for institution in self._lanes:
            queue_up(institution)
        places: list[int] = []
        while heads and len(places) < count:
            _, place, lane = heapq.heappop(heads)
            places.append(place)
            lane.places.popleft()
            of_institution[lane.institution] += 1
            of_person[lane.institution, lane.person] += 1
            queue_up(lane.institution)
        return [self._rows[place] for place in sorted(places)]

    def _apart(self) -> Iterable[Ints]:
        """Return the places of the requests of each person, class and institution."""
        if not self._rows:
            return ()
        whose = self._arrays.queue.cells[self._rows][:, [columns.BY_PERSON, columns.INSTITUTION]]
        places = np.lexsort(whose.T)
        is_other = (whose[places][1:] != whose[places][:-1]).any(axis=1)
        return np.split(places, np.flatnonzero(is_other) + 1)

    def _lane(self, places: Ints) -> _Lane:
        first = self._arrays.queue.cells[self._rows[int(places[0])]]
        share, _ = self._arrays.names.vertices.key(int(first[columns.INSTITUTION]))
        person, _ = self._arrays.names.by_person.key(int(first[columns.BY_PERSON]))
        return _Lane(institution=InstitutionId(share), person=person, places=deque(places.tolist()))


def _has_any(lane: _Lane, drop: Callable[[int], bool]) -> bool:
    """Tell whether any requests are left in a lane, once those at its head are dropped that are to be."""
    while lane.places and drop(lane.places[0]):
        lane.places.popleft()
    return bool(lane.places)
