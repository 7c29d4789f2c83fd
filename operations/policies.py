"""Who may do what: one table for every operation of the API, and the one function that reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from operations.callers import Caller
from operations.reasons import Forbidden
from registry.ids import InstitutionId, PersonId, ProjectId
from registry.people import Role


class Who(StrEnum):
    """Who may do something. All but anybody need a good token."""

    ANYBODY = "anybody"
    CALLER = "caller"
    MEMBER = "member"
    """Who works on the project."""
    MEMBER_OR_CENTER = "member_or_center"
    """Who works on the project, if there is one, or who runs the center."""
    OWNER = "owner"
    """The person who submitted the request, and nobody else."""
    OWNER_OR_ADMIN = "owner_or_admin"
    """That person, or who administers the request's institution."""
    SELF_OR_ADMIN = "self_or_admin"
    """That person, or who administers the institution: each of those that the person acts for."""
    INSTITUTION_ADMIN = "institution_admin"
    CENTER_ADMIN = "center_admin"


POLICIES: Final[Mapping[str, Who]] = {
    "health:read": Who.ANYBODY,
    "requests:submit": Who.MEMBER,
    "requests:list": Who.CALLER,
    "requests:read": Who.CALLER,
    "requests:explain": Who.CALLER,
    "requests:follow": Who.CALLER,
    "requests:logs": Who.OWNER_OR_ADMIN,
    "requests:cancel": Who.OWNER_OR_ADMIN,
    "requests:extend": Who.OWNER_OR_ADMIN,
    "requests:hold": Who.OWNER_OR_ADMIN,
    "requests:release": Who.OWNER_OR_ADMIN,
    "clusters:list": Who.CALLER,
    "clusters:read": Who.CALLER,
    "clusters:scale": Who.OWNER_OR_ADMIN,
    "clusters:connect": Who.OWNER,
    "institutions:admit": Who.CENTER_ADMIN,
    "institutions:list": Who.CALLER,
    "institutions:read": Who.CALLER,
    "projects:open": Who.INSTITUTION_ADMIN,
    "projects:list": Who.CALLER,
    "projects:read": Who.CALLER,
    "people:add": Who.INSTITUTION_ADMIN,
    "people:list": Who.CALLER,
    "people:read": Who.CALLER,
    "people:grant": Who.INSTITUTION_ADMIN,
    "people:dismiss": Who.CENTER_ADMIN,
    "tokens:issue": Who.SELF_OR_ADMIN,
    "tokens:list": Who.SELF_OR_ADMIN,
    "tokens:revoke": Who.SELF_OR_ADMIN,
    "pools:list": Who.CALLER,
    "pools:read": Who.CALLER,
    "pools:put": Who.CENTER_ADMIN,
    "nodes:list": Who.CALLER,
    "nodes:read": Who.CALLER,
    "nodes:put": Who.CENTER_ADMIN,
    "nodes:drain": Who.CENTER_ADMIN,
    "bookings:book": Who.CENTER_ADMIN,
    "bookings:list": Who.CALLER,
    "bookings:read": Who.CALLER,
    "bookings:release": Who.MEMBER_OR_CENTER,
    "shares:list": Who.CALLER,
    "shares:read": Who.CALLER,
    "shares:set": Who.INSTITUTION_ADMIN,
    "shares:set-of-institution": Who.CENTER_ADMIN,
    "allocations:award": Who.CENTER_ADMIN,
    "allocations:list": Who.CALLER,
    "ledger:list": Who.CALLER,
    "ledger:bill": Who.CALLER,
    "ledger:balances": Who.CENTER_ADMIN,
    "rates:list": Who.CALLER,
    "rates:publish": Who.CENTER_ADMIN,
}
"""Every action by its name, `noun:verb`. Seeing is bounded by the caller's scope besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is acted on, as far as the answer depends on it."""

    institution: InstitutionId
    project: ProjectId | None = None
    person: PersonId | None = None


def forbidden(caller: Caller, action: str, subject: Subject) -> Forbidden | None:
    """Return why the caller may not do this to the subject, or nothing if they may."""
    who = POLICIES[action]
    return None if _may(caller, who, subject) else Forbidden(needs=who.value)


def forbidden_everywhere(caller: Caller, action: str) -> Forbidden | None:
    """Return why the caller may do this to nothing at all: answered before anything is read."""
    who = POLICIES[action]
    match who:
        case Who.CENTER_ADMIN:
            may = caller.is_center_admin
        case Who.INSTITUTION_ADMIN:
            may = caller.is_center_admin or any(grant.role is Role.INSTITUTION_ADMIN for grant in caller.grants)
        case (
            Who.ANYBODY
            | Who.CALLER
            | Who.MEMBER
            | Who.MEMBER_OR_CENTER
            | Who.OWNER
            | Who.OWNER_OR_ADMIN
            | Who.SELF_OR_ADMIN
        ):
            may = True
        case _:
            assert_never(who)
    return None if may else Forbidden(needs=who.value)


def _may(caller: Caller, who: Who, subject: Subject) -> bool:
    match who:
        case Who.ANYBODY | Who.CALLER:
            return True
        case Who.MEMBER | Who.MEMBER_OR_CENTER:
            works_on = subject.project is not None and caller.works_on(subject.project)
            return works_on or (who is Who.MEMBER_OR_CENTER and caller.is_center_admin)
        case Who.OWNER:
            return caller.person == subject.person
        case Who.OWNER_OR_ADMIN | Who.SELF_OR_ADMIN:
            return caller.person == subject.person or caller.administers(subject.institution)
        case Who.INSTITUTION_ADMIN:
            return caller.administers(subject.institution)
        case Who.CENTER_ADMIN:
            return caller.is_center_admin
        case _:
            assert_never(who)
