"""JSON objects from a stranger, each field taken with its type and its bounds or rejected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, TypeVar

LATEST_MILLISECONDS: Final = 32_503_680_000_000  # the year 3000
_MOST: Final = 2**62

T = TypeVar("T")


class RejectedError(ValueError):
    """Something does not keep the contract."""


class Fields:
    """The fields of a JSON object, each taken with its type and bounds or rejected."""

    __slots__ = ("_fields",)

    def __init__(self, content: bytes | dict[str, object]) -> None:
        fields = content if isinstance(content, dict) else _object(content)
        self._fields: dict[str, object] = fields

    def has(self, field: str) -> bool:
        return self._fields.get(field) is not None

    def whole(self, field: str, low: int, high: int) -> int:
        value = self._fields.get(field)
        if type(value) is not int or not low <= value <= high:
            raise RejectedError(f"{field} is not a whole number from {low} to {high}")
        return value

    def flag(self, field: str) -> bool:
        """Return whether a flag is set; an absent one is not."""
        return self._fields.get(field) is True

    def text(self, field: str, pattern: re.Pattern[str]) -> str:
        value = self._fields.get(field)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise RejectedError(f"{field} is not as it should be")
        return value

    def optional(self, field: str, take: Callable[[str], T]) -> T | None:
        return take(field) if self.has(field) else None

    def part(self, field: str) -> Fields:
        return _part(self._fields.get(field))

    def items(self, field: str, most: int) -> list[object]:
        values = self._fields.get(field)
        if not isinstance(values, list) or len(values) > most:
            raise RejectedError(f"{field} is not a list of at most {most}")
        return values

    def wholes(self, field: str, most: int) -> tuple[int, ...]:
        values = self.items(field, most)
        return tuple(value for value in values if type(value) is int and 0 <= value <= _MOST)

    def texts(self, field: str, most: int) -> list[str]:
        return [value for value in self.items(field, most) if isinstance(value, str)]

    def parts(self, field: str, most: int) -> list[Fields]:
        return [_part(value) for value in self.items(field, most)]

    def moment(self, field: str) -> int:
        return self.whole(field, 0, LATEST_MILLISECONDS)

    def amount(self, field: str) -> int:
        return self.whole(field, 0, _MOST)

    def port(self, field: str) -> int:
        return self.whole(field, 1, 65535)

    def unix_uid(self, field: str) -> int:
        return self.whole(field, 1, 2**31)


def _part(value: object) -> Fields:
    if not isinstance(value, dict):
        raise RejectedError("not an object")
    return Fields(value)


def _object(content: bytes) -> dict[str, object]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RejectedError("not JSON") from error
    if not isinstance(fields, dict):
        raise RejectedError("not an object")
    return fields
