"""What every body has in common: strict, closed and bounded in; plain out."""

from enum import StrEnum
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints

from registry.ids import PROJECT_PATTERN, SLUG_PATTERN

E = TypeVar("E", bound=StrEnum)

PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
"""Text without control characters: PostgreSQL keeps no NUL, and the others rewrite what a terminal shows."""

LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""

REACH_PATTERN: Final = rf"(?:{SLUG_PATTERN})|(?:{PROJECT_PATTERN})"
"""The center, an institution or a project: what has a share, and what a role reaches."""

LONGEST_NAME: Final = 200

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
ProjectName = Annotated[str, StringConstraints(pattern=PROJECT_PATTERN)]
Reach = Annotated[str, StringConstraints(pattern=REACH_PATTERN)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME, pattern=PRINTABLE)
]
Choice = Annotated[E, Strict(strict=False)]
"""One of a few words; a strict field would want the member itself, which JSON cannot hold."""
Moment = Annotated[int, Field(ge=0, le=LATEST, description="Seconds since 1970 in UTC.")]


class Closed(BaseModel):
    """A body that comes in: nothing is converted, and a field that nobody knows is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Open(BaseModel):
    """A body that goes out."""

    model_config = ConfigDict(frozen=True)
