"""Who acts at the center: people are added with a first role, get more, lose them and leave."""

from dataclasses import dataclass, replace

from operations.callers import Caller, reached_institution
from operations.policies import Subject, Who, forbidden
from operations.ports.office import Office
from operations.reasons import Forbidden, Reason, Refused, Unknown
from operations.replaying import ReplayKey, once
from registry.ids import InstitutionId, PersonId, ProjectId, Seconds
from registry.people import EVERYTHING, Person, Role, RoleGrant
from registry.reasons import HasEnded, NotThere, OwnAccess, RoleReachMismatch, TooEarly


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """A person with the roles, past ones too, that the caller may see of them."""

    person: Person
    grants: tuple[RoleGrant, ...]


def add_person(
    work: Office, caller: Caller, person: Person, grant: RoleGrant, replay: ReplayKey | None, *, now: Seconds
) -> PersonView | Refused:
    """Add a person with a first role; a repeated key gets its first answer."""

    def add() -> PersonView | Refused:
        if reason := _fault(work, caller, grant, now=now):
            return Refused(reasons=(reason,))
        work.people.add(person)
        work.grants.put(grant)
        return PersonView(person=person, grants=(grant,))

    return once(work, replay, person.id, add, lambda made: see_person(work, caller, PersonId(made)), now=now)


def see_person(work: Office, caller: Caller, person_id: PersonId) -> PersonView | Refused:
    """Return one person; everybody sees themselves."""
    person = find_person(work, caller, person_id)
    return _view(work, caller, person) if person else Refused(reasons=(Unknown(what="person"),))


def list_people(work: Office, caller: Caller, *, after: str, limit: int) -> tuple[Person, ...]:
    """Return people by id."""
    return work.people.page(caller.scope, after=after, limit=limit)


def put_grant(work: Office, caller: Caller, grant: RoleGrant, *, now: Seconds) -> PersonView | Refused:
    """Give a person a role, or another end to one they have; who had left comes back.

    Whoever administered all that a person could do may have made tokens for them, and kept a secret. A grant that
    reaches further therefore revokes the person's tokens, and only who administers all they hold may give it.
    """
    person = find_person(work, caller, grant.person)
    if person is None:
        return Refused(reasons=(Unknown(what="person"),))
    if reason := _fault(work, caller, grant, now=now):
        return Refused(reasons=(reason,))
    held = institutions_held(work, person.id, now=now)
    if held.isdisjoint({reached_institution(grant.reach), reached_institution(caller.center)}):
        if not all(caller.administers(institution) for institution in held):
            return Refused(reasons=(Forbidden(needs=Who.CENTER_ADMIN.value),))
        _revoke_tokens(work, person.id, now)
    work.grants.put(grant)
    back = replace(person, left=None)
    if back != person:
        work.people.update(back)
    return _view(work, caller, back)


def end_grant(
    work: Office, caller: Caller, person_id: PersonId, role: Role, reach: str, *, now: Seconds
) -> PersonView | Refused:
    """End a role of a person now; with the last one they have left."""
    person = find_person(work, caller, person_id)
    if person is None:
        return Refused(reasons=(Unknown(what="person"),))
    grants = [grant for grant in work.grants.of(person_id) if grant.holds_at(now)]
    ended = next((grant for grant in grants if (grant.role, grant.reach) == (role, reach)), None)
    if ended is None or not _sees(caller, ended):
        return Refused(reasons=(Unknown(what="grant"),))
    if reason := _ending_fault(caller, ended):
        return Refused(reasons=(reason,))
    work.grants.put(replace(ended, until=now))
    if grants == [ended]:
        person = _without_access(work, person, now=now)
    return _view(work, caller, person)


def leave(work: Office, caller: Caller, person_id: PersonId, *, now: Seconds) -> PersonView | Refused:
    """End every role and every token of a person. Nobody does that to themselves, so that somebody stays."""
    person = find_person(work, caller, person_id)
    if person is None:
        return Refused(reasons=(Unknown(what="person"),))
    if person_id == caller.person:
        return Refused(reasons=(OwnAccess(),))
    if person.left is None:
        person = _without_access(work, person, now=now)
    return _view(work, caller, person)


def find_person(work: Office, caller: Caller, person: PersonId) -> Person | None:
    """Return a person as far as the caller may see them, locked against other changes where the caller may write."""
    return work.people.get(EVERYTHING if person == caller.person else caller.scope, person)


def institutions_held(work: Office, person: PersonId, *, now: Seconds) -> frozenset[InstitutionId]:
    """Return where a person's grants in force reach; the center itself counts as one more institution."""
    return frozenset(reached_institution(grant.reach) for grant in work.grants.of(person) if grant.holds_at(now))


def _fault(work: Office, caller: Caller, grant: RoleGrant, *, now: Seconds) -> Reason | None:
    """Return why the caller may not give such a grant to anybody: nobody gives more than they hold."""
    if grant.role is Role.CENTER_ADMIN:
        reason = _fault_at_center(caller, grant)
    else:
        reason = _fault_at_institution(work, caller, grant)
    if reason is None and not grant.holds_at(now):
        return TooEarly(field="until", earliest=Seconds(now + 1))
    return reason


def _fault_at_center(caller: Caller, grant: RoleGrant) -> Reason | None:
    if not caller.is_center_admin:
        return Forbidden(needs=Who.CENTER_ADMIN.value)
    return None if grant.reach == caller.center else RoleReachMismatch(role=grant.role, reach=grant.reach)


def _fault_at_institution(work: Office, caller: Caller, grant: RoleGrant) -> Reason | None:
    if grant.role is Role.INSTITUTION_ADMIN and _is_project(grant.reach):
        return RoleReachMismatch(role=grant.role, reach=grant.reach)
    institution = reached_institution(grant.reach)
    found = work.institutions.get(caller.scope, institution)
    project = work.projects.get(caller.scope, ProjectId(grant.reach))
    if found is None or (project is None and _is_project(grant.reach)):
        return NotThere(field="reach", id=grant.reach)
    if no := forbidden(caller, "people:grant", Subject(institution=institution)):
        return no
    ended = found.ended or (project and project.ended)
    return None if ended is None else HasEnded(field="reach", id=grant.reach)


def _ending_fault(caller: Caller, ended: RoleGrant) -> Reason | None:
    if ended.role is Role.CENTER_ADMIN and ended.person == caller.person:
        return OwnAccess()
    return forbidden(caller, "people:grant", Subject(institution=reached_institution(ended.reach)))


def _is_project(reach: str) -> bool:
    return "." in reach


def _sees(caller: Caller, grant: RoleGrant) -> bool:
    return grant.person == caller.person or caller.scope.covers(reached_institution(grant.reach))


def _view(work: Office, caller: Caller, person: Person) -> PersonView:
    grants = tuple(grant for grant in work.grants.of(person.id) if _sees(caller, grant))
    return PersonView(person=person, grants=grants)


def _without_access(work: Office, person: Person, *, now: Seconds) -> Person:
    for grant in work.grants.of(person.id):
        if grant.holds_at(now):
            work.grants.put(replace(grant, until=now))
    _revoke_tokens(work, person.id, now)
    left = replace(person, left=now)
    work.people.update(left)
    return left


def _revoke_tokens(work: Office, person: PersonId, now: Seconds) -> None:
    for token in work.tokens.of(person):
        if token.revoked is None:
            work.tokens.revoke(person, token.id, now)
