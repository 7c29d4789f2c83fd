"""Why the register of what exists says no: one type per reason, its details as fields."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Something by that id exists already."""

    code: ClassVar[str] = "taken"
    field: ClassVar[str] = "id"
    what: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotThere:
    """What a field of the body names does not exist, or not for the caller."""

    code: ClassVar[str] = "not-there"
    field: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HasEnded:
    """What is named has ended and takes nothing new."""

    code: ClassVar[str] = "has-ended"
    field: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodEndsBeforeItBegins:
    """A period's end is not after its beginning."""

    code: ClassVar[str] = "period-ends-before-it-begins"
    field: ClassVar[str] = "ends"
