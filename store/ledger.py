"""The ledger's entries: appended once, never changed."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, bindparam, select

from quotas.ledger import Entry, EntryKey, EntryKind, Usage
from store.connections import OvertakenError, Transaction
from store.marks import mark_column
from store.schema import METADATA, TEXT, Choice, Row, moment, tag_columns, tag_values, tags_of

ENTRIES: Final = Table(
    "entries",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", TEXT, nullable=False, unique=True),
    Column("kind", Choice(EntryKind), nullable=False),
    Column("source", TEXT, nullable=False),
    Column("target", TEXT, nullable=False),
    Column("amount", BigInteger, nullable=False),
    moment("at"),
    *tag_columns(),
    Column("core_milliseconds", BigInteger, nullable=False),
    Column("mib_seconds", BigInteger, nullable=False),
    Column("gpu_milliseconds", BigInteger, nullable=False),
    Column("request", TEXT, index=True),
    mark_column(),
    CheckConstraint("amount >= 0 AND source <> target", "forward"),
    Index("ix_entries_project_mark_number", "project", "mark", "number"),
    Index("ix_entries_institution_mark_number", "institution", "mark", "number"),
    sqlite_autoincrement=True,
)

_POSTED: Final = select(ENTRIES.c.number).where(ENTRIES.c.key == bindparam("posted"))
_USAGE: Final = ("core_milliseconds", "mib_seconds", "gpu_milliseconds")
_OWN: Final = ("key", "kind", "source", "target", "amount", "at", "request")


def is_posted(transaction: Transaction, key: EntryKey) -> bool:
    """Tell whether the ledger has an entry of that key."""
    return transaction.first(_POSTED, {"posted": key}) is not None


def append(transaction: Transaction, entries: Sequence[Entry]) -> None:
    """Append entries whose keys are new.

    Raises:
        OvertakenError: another transaction has just posted one of them.
    """
    new = transaction.insert(ENTRIES).on_conflict_do_nothing(index_elements=[ENTRIES.c.key])
    if sum(transaction.run(new, _values(entry)) for entry in entries) != len(entries):
        raise OvertakenError(entries[0].key)


def usage_of(row: Row) -> Usage:
    """Return the use that a row, or a sum of rows, says."""
    return Usage(**{name: int(row[name]) for name in _USAGE})


def entry_of(row: Row) -> Entry:
    """Return the entry of a row."""
    return Entry(tags=tags_of(row), usage=usage_of(row), **{name: row[name] for name in _OWN})


def _values(entry: Entry) -> dict[str, Any]:
    own = {name: getattr(entry, name) for name in _OWN}
    return own | tag_values(entry.tags) | {name: getattr(entry.usage, name) for name in _USAGE}
