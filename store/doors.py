"""The rule that one operation is one transaction: nobody opens a second one inside the first."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_INSIDE: Final = ContextVar("inside a transaction", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Hold our own code to one transaction at a time.

    Raises:
        RuntimeError: an operation that runs in a transaction has come back to a store's door. What it does there
            would commit whatever becomes of the operation, and might wait for its locks for ever.
    """
    if _INSIDE.get():
        raise RuntimeError("an operation opened a second transaction inside its own")
    token = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(token)
