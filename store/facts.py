"""Everything that a cycle decides from, as far as it changed since a mark."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, bindparam, exists, select

from operations.ports.store import Facts
from registry.ids import BEGINNING, Mark
from scheduler.facts import Fact
from store.accounts import ALLOCATIONS, BALANCES, changed_allocations
from store.bookings import BOOKINGS, changed_bookings, live_bookings
from store.clusters import PROCESSES, changed_processes, live_processes
from store.connections import Transaction
from store.marks import NextMark
from store.nodes import NODE_AMOUNTS, NODES, changed_nodes
from store.outcomes import OUTCOMES, changed_outcomes, kept_outcomes
from store.rates import RATE_CARDS, all_cards
from store.requests import REQUESTS, changed_requests, live_requests
from store.runs import RUN_RATIOS, changed_ratios
from store.shares import SHARE_AMOUNTS, SHARES, changed_shares
from store.usage import USAGE_DAYS, changed_days


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One kind of fact: the tables it is read from, and how."""

    tables: tuple[Table, ...]
    changed: Callable[[Transaction, Mark], Sequence[Fact]]
    live: Callable[[Transaction], Sequence[Fact]] | None = None
    """What a rebuild reads instead: without what has ended."""


_SOURCES: Final = (
    _Source(tables=(NODES, NODE_AMOUNTS), changed=changed_nodes),
    _Source(tables=(SHARES, SHARE_AMOUNTS), changed=changed_shares),
    _Source(tables=(RATE_CARDS,), changed=all_cards),
    _Source(tables=(ALLOCATIONS, BALANCES), changed=changed_allocations),
    _Source(tables=(USAGE_DAYS,), changed=changed_days),
    _Source(tables=(BOOKINGS,), changed=changed_bookings, live=live_bookings),
    _Source(tables=(RUN_RATIOS,), changed=changed_ratios),
    _Source(tables=(OUTCOMES,), changed=changed_outcomes, live=kept_outcomes),
    _Source(tables=(REQUESTS,), changed=changed_requests, live=live_requests),
    _Source(tables=(PROCESSES,), changed=changed_processes, live=live_processes),
)
_TABLES: Final = tuple(table for source in _SOURCES for table in source.tables)
_NEWS: Final = select(NextMark(), *(exists().where(table.c.mark >= bindparam("since")) for table in _TABLES))


def read_facts(transaction: Transaction, since: Mark) -> Facts:
    """Return what changed since a mark, and the mark to go on from; both belong to one consistent state."""
    mark, changed = _changed(transaction, since)
    return Facts(mark=mark, facts=tuple(fact for source in changed for fact in _read(source, transaction, since)))


def _read(source: _Source, transaction: Transaction, since: Mark) -> Sequence[Fact]:
    if since == BEGINNING and source.live is not None:
        return source.live(transaction)
    return source.changed(transaction, since)


def _changed(transaction: Transaction, since: Mark) -> tuple[Mark, Iterator[_Source]]:
    """Return the next mark and the sources with any change: most of the time there is none, and one question tells."""
    mark, *answers = transaction.connection.execute(_NEWS, {"since": since}).one()
    moved = {table for table, answer in zip(_TABLES, answers, strict=True) if answer}
    return Mark(mark), (source for source in _SOURCES if moved.intersection(source.tables))
