"""The identifiers of everything that exists, and the moment and size units they are stamped with."""

import re
from typing import Final, NewType

CenterId = NewType("CenterId", str)
InstitutionId = NewType("InstitutionId", str)
ProjectId = NewType("ProjectId", str)
"""`institution.project`: the institution is part of the name, so that a taken name says nothing to a stranger."""
PersonId = NewType("PersonId", str)
PoolId = NewType("PoolId", str)
NodeId = NewType("NodeId", str)
EnvironmentId = NewType("EnvironmentId", str)
RequestId = NewType("RequestId", str)
TokenId = NewType("TokenId", str)
AllocationId = NewType("AllocationId", str)
BookingId = NewType("BookingId", str)

ShareId = NewType("ShareId", str)
"""The id of the center, institution or project whose vertex of the quota tree it is."""

ProcessUid = NewType("ProcessUid", str)
"""The immutable name a backend gives to one life of one process: the key of its bill."""

Seconds = NewType("Seconds", int)
"""A moment: whole seconds since 1970 in UTC. Durations are plain integers named `..._seconds`."""

MicroCredits = NewType("MicroCredits", int)
"""Money of the center: a millionth of a credit."""

Mark = NewType("Mark", int)
"""A position in the store's order of changes. Never a clock."""

BEGINNING: Final = Mark(0)

SLUG_PATTERN: Final = r"^[a-z](?:-?[a-z0-9]){1,38}$"
PROJECT_PATTERN: Final = r"^[a-z](?:-?[a-z0-9]){1,38}\.[a-z](?:-?[a-z0-9]){1,38}$"
RANDOM_PATTERN: Final = r"^[a-z2-7]{26}$"
"""128 random bits in lower-case base32: requests, people, tokens, allocations, bookings."""

_PROJECT: Final = re.compile(PROJECT_PATTERN)


def institution_of(project: ProjectId) -> InstitutionId:
    """Return the institution that a project's id names.

    Raises:
        ValueError: the id is not of the shape `institution.project`.
    """
    if not _PROJECT.match(project):
        message = f"not a project id: {project!r}"
        raise ValueError(message)
    return InstitutionId(project.partition(".")[0])
