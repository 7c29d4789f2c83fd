"""Nodes fixed in advance at a center: booked by who runs it, seen by everybody, given back early."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from haidang.amounts import Moment, Walltime, read_moment, read_seconds
from haidang.answers import Booking
from haidang.keys import key_of
from haidang.transport import Transport, segment
from haidang.words import Words

PATH: Final = "/v1/bookings"
MAINTENANCE: Final = "maintenance"


class Bookings:
    """The bookings of a center; `center.bookings` is this.

    A cluster runs on booked nodes by naming the booking: `center.cluster(booking=...)`.
    """

    def __init__(
        self, transport: Transport, words: Words, *, project: str | None, only_pool: Callable[[], str]
    ) -> None:  # fmt: skip
        self._transport = transport
        self._words = words
        self._project = project
        self._only_pool = only_pool

    def list(self, *, pool: str | None = None, over: bool = False) -> Iterator[Booking]:
        """Yield the bookings by their begin, those that are `over` only if wanted."""
        for told in self._transport.items(PATH, {"pool": pool, "over": "true" if over else None}):
            yield self._transport.read(Booking, told)

    def get(self, booking_id: str) -> Booking:
        """Return one booking."""
        return self._transport.read(Booking, self._transport.get(f"{PATH}/{segment(booking_id)}"))

    def book(
        self,
        nodes: int | Sequence[str],
        lasts: Walltime,
        *,
        begins: Moment | None = None,
        kind: str = "course",
        project: str | None = None,
        pool: str | None = None,
        name: str = "",
        displace: bool = False,
        key: str | None = None,
    ) -> Booking:
        """Book whole nodes, by their names or so many of the pool, for as long as it `lasts`; for who runs the center.

        It `begins` now if that is left out; a time without a zone is one of the city's clock. Only work of the project
        then runs there, under maintenance nobody's. With `displace`, for maintenance only, what still runs is ended.
        Called again with the same `key` and the same time it is the same booking; without a key, only this call's own
        retries share one.

        Raises:
            ArgumentError: a time cannot be read.
            ConflictError: the nodes are booked, or work on them goes on until then; `reasons` say until when.
        """
        begin = None if begins is None else read_moment(begins, "begins", self._words)
        length = read_seconds(lasts, "lasts", self._words)
        body: dict[str, object] = {
            "name": name,
            "pool": pool or self._only_pool(),
            "kind": kind,
            "begins": begin,
            "ends": (int(time.time()) if begin is None else begin) + length,
            "project": project or (None if kind == MAINTENANCE else self._project),
            "displace": displace,
        }
        body |= {"node_count": nodes} if isinstance(nodes, int) else {"nodes": [*nodes]}
        return self._transport.read(Booking, self._transport.post(PATH, body, key=key_of(key, self._words)))

    def release(self, booking_id: str) -> Booking:
        """Give the nodes of a booking back to everybody from now on; again changes nothing."""
        told = self._transport.post(f"{PATH}/{segment(booking_id)}/release", repeatable=True)
        return self._transport.read(Booking, told)
