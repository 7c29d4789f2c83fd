"""Versions of what is edited: told in `ETag`, and asked for again by whoever changes it."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header

from api.dependencies import CallerDep
from api.problems import refused
from operations.reasons import ChangedMeanwhile, VersionMissing
from operations.shares import ABSENT, Version

_ETAG: Final = re.compile(r'"([0-9]{1,18})"')
_ANY: Final = "*"

_IfMatch = Annotated[str | None, Header(alias="If-Match", description="The `ETag` of the version that is changed.")]
_IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="`*`: there must be none yet.")]


def etag(version: int) -> str:
    """Return how a version is told."""
    return f'"{version}"'


def _version(_caller: CallerDep, match: _IfMatch = None, none_match: _IfNoneMatch = None) -> Version:
    """Return the version that the caller wants to change. That there is any is not enough: it may be a newer one."""
    if match is None and none_match == _ANY:
        return ABSENT
    if match is None or match == _ANY:
        raise refused(VersionMissing())
    seen = _ETAG.fullmatch(match)
    if seen is None:
        raise refused(ChangedMeanwhile())
    return Version(int(seen[1]))


VersionDep = Annotated[Version, Depends(_version)]
