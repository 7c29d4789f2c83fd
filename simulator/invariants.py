"""What must hold of every run at its end, whatever happened in it."""

from collections.abc import Iterator

from quotas.allocations import Allocation
from quotas.tree import Share
from registry.centers import Node
from registry.ids import BEGINNING
from registry.resources import NOTHING
from scheduler.clusters import Process
from scheduler.requests import Request, State
from store.memory import MemoryStore


class BrokenInvariantError(Exception):
    """A run ended with something that must not be; the message says what."""


def check(store: MemoryStore) -> None:
    """Hold a run, in which nothing runs any more, to what must be true of it.

    Raises:
        BrokenInvariantError: something is not.
    """
    if breaches := tuple(left_over(store)):
        raise BrokenInvariantError("; ".join(breaches))


def left_over(store: MemoryStore) -> Iterator[str]:
    """Yield in words whatever is still held, taken or running, and a ledger that does not sum to zero."""
    if rest := sum(amount for _, amount in store.balances()):
        yield f"all accounts sum to {rest}, not to zero"
    for fact in store.facts(BEGINNING).facts:
        match fact:
            case Node() | Share() if fact.granted != NOTHING:
                yield f"{fact.id} has not got back {fact.granted}"
            case Allocation() if fact.held:
                yield f"{fact.held} of {fact.id} is still held"
            case Process():
                yield f"slot {fact.name} is not released"
            case Request() if fact.state is State.PLACED:
                yield f"request {fact.id} still has its place"
            case _:
                pass
