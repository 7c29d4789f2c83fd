"""The names of things in addresses: what cannot be one is as unknown as what is none."""

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Path

from api.dependencies import CallerDep
from api.problems import refused
from api.schemas.shape import REACH_PATTERN
from operations.reasons import Unknown
from registry.ids import (
    PROJECT_PATTERN,
    RANDOM_PATTERN,
    SLUG_PATTERN,
    BookingId,
    InstitutionId,
    NodeId,
    PersonId,
    PoolId,
    ProjectId,
    ShareId,
    TokenId,
)


def _named(what: str, pattern: str, *, unknown: str | None = None) -> Any:  # noqa: ANN401  what FastAPI calls it
    """Return the dependency that reads `{what}` of the address, after it is known who calls."""
    shape = re.compile(pattern)

    def read(_caller: CallerDep, name: Annotated[str, Path(alias=what, json_schema_extra={"pattern": pattern})]) -> str:
        if not shape.fullmatch(name):
            raise refused(Unknown(what=unknown or what))
        return name

    return Depends(read)


ME: Final = "me"
"""How people call themselves in an address."""

InstitutionDep = Annotated[InstitutionId, _named("institution", SLUG_PATTERN)]
ProjectDep = Annotated[ProjectId, _named("project", PROJECT_PATTERN)]
BookingDep = Annotated[BookingId, _named("booking", RANDOM_PATTERN)]
TokenDep = Annotated[TokenId, _named("token", RANDOM_PATTERN)]
NewPoolDep = Annotated[PoolId, Path(alias="pool", pattern=SLUG_PATTERN)]
NewNodeDep = Annotated[NodeId, Path(alias="node", pattern=SLUG_PATTERN)]
"""A name that is just given may be wrong, where one that is asked for would only be unknown."""

PoolDep = Annotated[PoolId, _named("pool", SLUG_PATTERN)]
NodeDep = Annotated[NodeId, _named("node", SLUG_PATTERN)]
ShareDep = Annotated[ShareId, _named("share", REACH_PATTERN)]
ReachDep = Annotated[str, _named("reach", REACH_PATTERN, unknown="grant")]

_NamedPerson = Annotated[str, _named("person", rf"{ME}|{RANDOM_PATTERN}")]


def _person(caller: CallerDep, person: _NamedPerson) -> PersonId:
    return caller.person if person == ME else PersonId(person)


PersonDep = Annotated[PersonId, Depends(_person)]
