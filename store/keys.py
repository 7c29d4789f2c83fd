"""Idempotency keys, each kept in the transaction of its effect."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Table, bindparam, delete, select, tuple_

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
    # Named after what keys were for at first: migrations only add, as the version before goes on meanwhile.
    Column("request", TEXT, key="made", nullable=False),
    Column("kept", BigInteger, nullable=False, index=True),
)

_SWEPT_AT_ONCE: Final = 20
"""More than one for each that is added, so that old ones do go; few, so that nobody waits for it."""

_PLACE: Final = (KEYS.c.person, KEYS.c.key)
_USED: Final = select(KEYS).where(KEYS.c.person == bindparam("of_person"), KEYS.c.key == bindparam("of_key"))
_OLD: Final = select(*_PLACE).where(KEYS.c.kept < bindparam("before")).order_by(KEYS.c.kept).limit(_SWEPT_AT_ONCE)
# Those that another transaction is just forgetting are left to it.
_SWEEP: Final = delete(KEYS).where(tuple_(*_PLACE).in_(_OLD.with_for_update(skip_locked=True)))


@dataclass(frozen=True, slots=True)
class SqlKeys:
    """`Keys` in SQL."""

    transaction: Transaction

    def used(self, person: PersonId, key: str) -> UsedKey | None:
        row = self.transaction.row(_USED, {"of_person": person, "of_key": key})
        return thing_of(UsedKey, row) if row else None

    def keep(self, person: PersonId, key: str, use: UsedKey, *, now: Seconds) -> None:
        new = self.transaction.insert(KEYS).on_conflict_do_nothing()
        if not self.transaction.run(new, {"person": person, "key": key, "kept": now, **values_of(use)}):
            raise OvertakenError(key)
        self.transaction.run(_SWEEP, {"before": now - KEPT_SECONDS})
