"""The rule that one operation is one transaction: nobody opens a second one inside the first."""

from contextvars import ContextVar
from typing import Final

_INSIDE: Final = ContextVar("inside a transaction", default=False)


class alone:  # noqa: N801 - it is used like a function, and costs less than one that is a generator
    """Hold our own code to one transaction at a time.

    Raises:
        RuntimeError: an operation that runs in a transaction has come back to a store's door. What it does there
            would commit whatever becomes of the operation, and might wait for its locks for ever.
    """

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        if _INSIDE.get():
            raise RuntimeError("an operation opened a second transaction inside its own")
        self._token = _INSIDE.set(True)

    def __exit__(self, *_: object) -> None:
        _INSIDE.reset(self._token)
