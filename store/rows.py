"""Between dataclasses and rows whose columns are named like their fields."""

from dataclasses import Field, fields
from typing import Any, ClassVar, Protocol, TypeVar

from registry.tags import Tags
from store.schema import Row, tag_values, tags_of


class Thing(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


T = TypeVar("T", bound=Thing)


def values_of(thing: Thing) -> dict[str, Any]:
    """Return a thing's fields as values of its columns, tags spread over theirs."""
    values: dict[str, Any] = {}
    for field in fields(thing):
        value = getattr(thing, field.name)
        values |= tag_values(value) if isinstance(value, Tags) else {field.name: value}
    return values


def thing_of(kind: type[T], row: Row) -> T:
    """Return the thing a row stands for; columns that are no fields of it are left out."""
    return kind(**{field.name: tags_of(row) if field.name == "tags" else row[field.name] for field in fields(kind)})


def changes(before: T, after: T) -> dict[str, Any]:
    """Return the columns in which two states of a thing differ, with the values of the later one."""
    earlier, later = values_of(before), values_of(after)
    return {name: value for name, value in later.items() if value != earlier[name]}
