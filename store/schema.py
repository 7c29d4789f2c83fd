"""What all tables share: the names of their constraints, the kinds of their columns and the columns of tags."""

import json
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import BigInteger, Column, Dialect, MetaData, Text, TypeDecorator
from sqlalchemy.engine import RowMapping

from registry.centers import Tier
from registry.resources import ResourceName, Resources
from registry.tags import Tags

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of its bytes, on both databases: the order of ids does not depend on a server's language."""

E = TypeVar("E", bound=StrEnum)
Row = RowMapping
"""One row by column name."""


class Vector(TypeDecorator[Resources]):
    """Resources as JSON, for vectors that SQL never computes with."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Resources | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(dict(value.items()))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Resources | None:  # noqa: ARG002
        return None if value is None else _vector(value)


@lru_cache(maxsize=4096)
def _vector(text: str) -> Resources:
    """Read a vector; the same few shapes are read again and again."""
    return Resources.of((ResourceName(name), amount) for name, amount in json.loads(text).items())


class Choice(TypeDecorator[E]):
    """A member of a closed set, stored by its value."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[E]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:  # noqa: ARG002
        return None if value is None else self.kind(value)


class Words(TypeDecorator[tuple[str, ...]]):
    """A few short strings as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        return None if value is None else tuple(json.loads(value))


class Pairs(TypeDecorator[tuple[tuple[str, str], ...]]):
    """Short strings by name, in their order, as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[tuple[str, str], ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(value)

    def process_result_value(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> tuple[tuple[str, str], ...] | None:
        return None if value is None else tuple((name, word) for name, word in json.loads(value))


def moment(name: str, *, nullable: bool = False) -> Column[int]:
    """Return a column of seconds since 1970."""
    return Column(name, BigInteger, nullable=nullable)


def tag_columns() -> tuple[Column[Any], ...]:
    """Return the columns of everything that reports ask of a request or an entry."""
    return (
        Column("center", TEXT, nullable=False),
        Column("institution", TEXT, nullable=False),
        Column("project", TEXT, nullable=False),
        Column("pool", TEXT),
        Column("tier", Choice(Tier)),
        Column("funding", TEXT, nullable=False),
        Column("sector", TEXT, nullable=False),
        Column("topic", TEXT, nullable=False),
    )


_TAGS: Final = ("center", "institution", "project", "pool", "tier", "funding", "sector", "topic")


def tag_values(tags: Tags) -> dict[str, Any]:
    """Return tags as values of their columns."""
    return {name: getattr(tags, name) for name in _TAGS}


def tags_of(row: Row) -> Tags:
    """Return the tags of a row."""
    return Tags(**{name: row[name] for name in _TAGS})
