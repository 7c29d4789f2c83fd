"""Idempotency keys, each kept in the transaction of its effect."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Table, delete, select, tuple_

from operations.ports.store import UsedKey
from registry.ids import PersonId, Seconds
from store.connections import OvertakenError, Transaction
from store.rows import thing_of, values_of
from store.schema import METADATA, TEXT
from store.standing import KEPT_SECONDS

KEYS: Final = Table(
    "keys",
    METADATA,
    Column("person", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("fingerprint", TEXT, nullable=False),
    Column("request", TEXT, nullable=False),
    Column("kept", BigInteger, nullable=False, index=True),
)

_SWEPT_AT_ONCE: Final = 20
"""More than one for each that is added, so that old ones do go; few, so that nobody waits for it."""


@dataclass(frozen=True, slots=True)
class SqlKeys:
    """`Keys` in SQL."""

    transaction: Transaction

    def used(self, person: PersonId, key: str) -> UsedKey | None:
        row = self.transaction.row(select(KEYS).where(KEYS.c.person == person, KEYS.c.key == key))
        return thing_of(UsedKey, row) if row else None

    def keep(self, person: PersonId, key: str, use: UsedKey, *, now: Seconds) -> None:
        new = self.transaction.insert(KEYS).on_conflict_do_nothing()
        if not self.transaction.run(new, {"person": person, "key": key, "kept": now, **values_of(use)}):
            raise OvertakenError(key)
        self._sweep(Seconds(now - KEPT_SECONDS))

    def _sweep(self, before: Seconds) -> None:
        """Forget a few keys from before a moment, leaving those that another transaction is just forgetting."""
        place = (KEYS.c.person, KEYS.c.key)
        old = select(*place).where(KEYS.c.kept < before).order_by(KEYS.c.kept).limit(_SWEPT_AT_ONCE)
        self.transaction.run(delete(KEYS).where(tuple_(*place).in_(old.with_for_update(skip_locked=True))))
