"""Marks: the order in which changes became visible, which is not the order in which they were made.

On PostgreSQL a row carries the id of the transaction that wrote it last, and a reader goes on from the oldest
transaction that was still open when it looked: whatever commits later has at least that mark. A sequence would not
do, since its numbers are drawn before the commit, and a reader that has seen the higher one never returns for the
lower. On SQLite writers take turns, so a counter that every write transaction advances is enough.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, SQLColumnExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement


class CurrentMark(FunctionElement[int]):
    """The mark of what this transaction writes."""

    inherit_cache = True
    type = BigInteger()


class NextMark(FunctionElement[int]):
    """The mark to read on from: nothing that is not yet visible has a lower one."""

    inherit_cache = True
    type = BigInteger()


@compiles(CurrentMark, "postgresql")
def _current_on_postgresql(_element: CurrentMark, _compiler: SQLCompiler, **_: object) -> str:
    return "pg_current_xact_id()::text::bigint"


@compiles(CurrentMark, "sqlite")
def _current_on_sqlite(_element: CurrentMark, _compiler: SQLCompiler, **_: object) -> str:
    return "(SELECT value FROM mark)"


@compiles(NextMark, "postgresql")
def _next_on_postgresql(_element: NextMark, _compiler: SQLCompiler, **_: object) -> str:
    return "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@compiles(NextMark, "sqlite")
def _next_on_sqlite(_element: NextMark, _compiler: SQLCompiler, **_: object) -> str:
    return "(SELECT value + 1 FROM mark)"


ADVANCE_ON_SQLITE = "UPDATE mark SET value = value + 1"
"""What every write transaction on SQLite begins with; the table has one row and exists there only."""


def current_mark() -> SQLColumnExpression[int]:
    """Return the expression to set where neither a default nor an `onupdate` applies: in an upsert's update."""
    return CurrentMark()


def mark_column() -> Column[int]:
    """Return the column that says when a row last changed, kept by every insert and update of it."""
    mark: Any = CurrentMark()
    return Column("mark", BigInteger, nullable=False, default=mark, onupdate=mark, index=True)
