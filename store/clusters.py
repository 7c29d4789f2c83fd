"""The slots of placed requests: their table, their rows, and the one way they change."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Executable, ForeignKey, Index, Table, bindparam, select, update

from registry.ids import Mark, PoolId, RequestId
from scheduler.clusters import Cluster, Part, Process
from scheduler.requests import Request, State
from scheduler.troubles import Trouble
from store.connections import Transaction
from store.marks import current_mark, mark_column
from store.requests import REQUESTS, extended_requests, placed_requests
from store.rows import changes, thing_of, values_of
from store.schema import METADATA, TEXT, Choice, Vector, moment

PROCESSES: Final = Table(
    "processes",
    METADATA,
    Column("request", ForeignKey("requests.id"), primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("part", Choice(Part), nullable=False),
    Column("node", TEXT, nullable=False),
    Column("shape", Vector, nullable=False),
    Column("hold", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("uid", TEXT),
    Column("address", TEXT),
    moment("started", nullable=True),
    moment("charged_until", nullable=True),
    moment("lease_until", nullable=True),
    moment("not_before", nullable=True),
    Column("cpu_milliseconds", BigInteger),
    Column("peak_memory", BigInteger),
    Column("trouble", Choice(Trouble)),
    moment("troubled_since", nullable=True),
    moment("stop_by", nullable=True),
    moment("released", nullable=True),
    mark_column(),
)
_HELD: Final = PROCESSES.c.released.is_(None)
Index("ix_processes_held", PROCESSES.c.request, sqlite_where=_HELD, postgresql_where=_HELD)

_IN_ORDER: Final = (PROCESSES.c.request, PROCESSES.c.ordinal)
_SLOTS: Final = select(PROCESSES).where(PROCESSES.c.request == bindparam("key")).order_by(PROCESSES.c.ordinal)


def live_processes(transaction: Transaction) -> tuple[Process, ...]:
    """Return the slots that are not released, by request and ordinal."""
    held = select(PROCESSES).where(_HELD).order_by(*_IN_ORDER)
    return tuple(thing_of(Process, row) for row in transaction.rows(held))


def changed_processes(transaction: Transaction, since: Mark) -> tuple[Process, ...]:
    """Return the slots that changed since a mark, released ones too, by request and ordinal."""
    changed = select(PROCESSES).where(PROCESSES.c.mark >= since).order_by(*_IN_ORDER)
    return tuple(thing_of(Process, row) for row in transaction.rows(changed))


def _added(transaction: Transaction) -> Executable:
    """Return the insert of slots, in place of those that a request has left behind which was turned back.

    Their versions go on: whoever still holds what was read of the earlier one writes nothing over the new one.
    """
    new = transaction.insert(PROCESSES)
    key = {column.name for column in PROCESSES.primary_key}
    others: dict[str, Any] = {column.name: column for column in new.excluded if column.name not in key}
    values = others | {"version": PROCESSES.c.version + 1, "mark": current_mark()}
    return new.on_conflict_do_update(index_elements=PROCESSES.primary_key, set_=values, where=~_HELD)


@dataclass(frozen=True, slots=True)
class SqlClusters:
    """`Clusters` in SQL."""

    transaction: Transaction

    def add(self, processes: Iterable[Process]) -> None:
        if rows := [values_of(process) for process in processes]:
            added = self.transaction.run(_added(self.transaction), rows)
            assert added == len(rows), rows

    def slots(self, request: RequestId) -> tuple[Process, ...]:
        slots = self.transaction.rows(self.transaction.locked(_SLOTS), {"key": request})
        return tuple(thing_of(Process, row) for row in slots)

    def live(self) -> tuple[Cluster, ...]:
        placed = REQUESTS.c.state == State.PLACED
        held = select(PROCESSES).join(REQUESTS).where(placed, _HELD).order_by(*_IN_ORDER)
        slots = {
            request: tuple(thing_of(Process, row) for row in rows)
            for request, rows in groupby(self.transaction.rows(held), lambda row: row["request"])
        }
        requests = placed_requests(self.transaction)
        return tuple(Cluster(request=request, processes=slots.get(request.id, ())) for request in requests)

    def extended(self, pools: Collection[PoolId]) -> tuple[Request, ...]:
        return extended_requests(self.transaction, pools)

    def swap(self, before: Process, after: Process) -> bool:
        key = (before.request, before.ordinal, before.version)
        assert key == (after.request, after.ordinal, after.version), (before, after)
        as_read = (
            PROCESSES.c.request == before.request,
            PROCESSES.c.ordinal == before.ordinal,
            PROCESSES.c.version == before.version,
        )
        new = {**changes(before, after), "version": before.version + 1}
        return self.transaction.run(update(PROCESSES).where(*as_read).values(new)) == 1
