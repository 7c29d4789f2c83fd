"""Policies by name, or from a file that says in which numbers one differs from a named one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scheduler.policies import NAMED
from scheduler.policy import WHOLE_PERCENT, ClassRule, Order, Policy
from scheduler.requests import RequestClass
from scheduler.scaling import WHOLE_FRACTION
from simulator.site import unbounded

ENDING: Final = ".toml"
BASE: Final = "base"

Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Percent = Annotated[int, Field(ge=0, le=WHOLE_PERCENT)]
Thousandths = Annotated[int, Field(ge=0, le=WHOLE_FRACTION)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PolicyFileError(Exception):
    """There is no such policy, or its file cannot be read; the message says which field is wrong with it."""


class UnknownPolicyError(PolicyFileError):
    """There is no policy of that name; `where` says what file names it, if one does."""

    def __init__(self, name: str, where: str = "") -> None:
        self.name: Final = name
        self.where: Final = where
        super().__init__(f"{where}there is no policy {name!r}, only {', '.join(NAMED)} and files ending in {ENDING}")


class _ClassChanges(BaseModel):
    """What a file says of one class of requests: the fields of `ClassRule` by their names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    weight: Weight | None = None
    default_walltime_seconds: Positive | None = None
    longest_walltime_seconds: Positive | None = None
    largest_workers: Whole | None = None
    most_per_person: Whole | None = None
    most_waiting: Whole | None = None
    most_waiting_of_institution: Whole | None = None
    share_percent: Percent | None = None
    price_percent: Whole | None = None
    overtaking_seconds: Whole | None = None
    admin_only: bool | None = None


class _PolicyChanges(BaseModel):
    """What a file says: a base, and the fields of `Policy` by their names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    base: str = "default"
    classes: dict[Annotated[RequestClass, Field(strict=False)], _ClassChanges] | None = None
    order: Annotated[Order, Field(strict=False)] | None = None
    backfill: bool | None = None
    shortest_fills: bool | None = None
    keeps_promises: bool | None = None
    fair_share_weight: Weight | None = None
    owner_weight: Weight | None = None
    length_weight: Weight | None = None
    slowdown_bound_seconds: Positive | None = None
    half_life_seconds: Positive | None = None
    reservations: Whole | None = None
    latest_starts: Whole | None = None
    termination_slack_seconds: Whole | None = None
    notice_seconds: Whole | None = None
    minimum_run_seconds: Whole | None = None
    lease_seconds: Positive | None = None
    start_patience_seconds: Whole | None = None
    unschedulable_patience_seconds: Whole | None = None
    retry_pauses_seconds: Annotated[tuple[Whole, ...], Field(strict=False, min_length=1)] | None = None
    evacuation_notice_seconds: Whole | None = None
    parallel_fraction: Thousandths | None = None


def policy_for_logs(name: str) -> Policy:
    """Return the policy of a name, or of a file whose name ends so, for logs of work.

    A log has one class of jobs, the normal one. What bounds it in the base is lifted, since a log knows nothing of
    such bounds; those that the file itself names hold. Nothing is ever stopped, whatever a file says of that: a log has
    no word of what work loses by it.

    Raises:
        PolicyFileError: there is none by that name, or the file is not one.
    """
    if not name.endswith(ENDING):
        return unbounded(_named(name))
    changes = _read(Path(name))
    base = unbounded(_named(changes.base, f"{name}: {BASE}: "))
    classes = {**base.classes, **{one: _over(base, one, rule) for one, rule in (changes.classes or {}).items()}}
    return replace(base, **_said(changes, but_for={BASE, "classes", "minimum_run_seconds"}), classes=classes)


def differences(before: Policy, after: Policy) -> Mapping[str, tuple[object, object]]:
    """Return the fields in which two policies differ, those of a class as `classes.normal.weight`."""
    found: dict[str, tuple[object, object]] = {}
    for field in fields(Policy):
        if field.name != "classes":
            found[field.name] = getattr(before, field.name), getattr(after, field.name)
    for one in RequestClass:
        for field in fields(ClassRule):
            rules = before.classes[one], after.classes[one]
            found[f"classes.{one}.{field.name}"] = getattr(rules[0], field.name), getattr(rules[1], field.name)
    return {name: (old, new) for name, (old, new) in found.items() if old != new}


def _named(name: str, where: str = "") -> Policy:
    if name not in NAMED:
        raise UnknownPolicyError(name, where)
    return NAMED[name]


def _over(base: Policy, one: RequestClass, changes: _ClassChanges) -> ClassRule:
    return replace(base.classes[one], **_said(changes))


def _said(changes: BaseModel, but_for: set[str] | None = None) -> dict[str, Any]:
    """Return what a file names, as values of Python: a field that it leaves out is that of the base."""
    named = changes.model_fields_set - (but_for or set())
    return {name: getattr(changes, name) for name in named if getattr(changes, name) is not None}


def _read(path: Path) -> _PolicyChanges:
    try:
        return _PolicyChanges.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PolicyFileError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyFileError(f"{path}: {error}") from error
    except ValidationError as error:
        raise PolicyFileError("\n".join(f"{path}: {_told(fault)}" for fault in error.errors())) from error


def _told(fault: Mapping[str, Any]) -> str:
    """Return which field is wrong and how; where there is none by that name, what it may have been meant for."""
    place = [str(part) for part in fault["loc"] if part != "[key]"]
    field = ".".join(place)
    if fault["type"] != "extra_forbidden":
        return f"{field}: {fault['msg']}"
    known = (_PolicyChanges if len(place) == 1 else _ClassChanges).model_fields
    close = get_close_matches(place[-1], known, n=1)
    return f"{field}: there is no such field" + (f"; did you mean {close[0]}?" if close else f": {', '.join(known)}")
