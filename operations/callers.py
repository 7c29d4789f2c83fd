"""Who calls, what they may do and whose rows they may see: the one place that answers it."""

from dataclasses import dataclass
from hashlib import sha256

from operations.ports.office import Office
from registry.ids import CenterId, InstitutionId, PersonId, ProjectId, Seconds, institution_of
from registry.people import EVERYTHING, Role, RoleGrant, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A person whose token was good, with the grants in force at that moment; the token lasts `until`."""

    person: PersonId
    center: CenterId
    grants: tuple[RoleGrant, ...]
    until: Seconds | None = None

    @property
    def is_center_admin(self) -> bool:
        """Tell whether the caller runs the center."""
        return any(grant.role is Role.CENTER_ADMIN and grant.reach == self.center for grant in self.grants)

    @property
    def scope(self) -> Scope:
        """Return whose rows the caller may see."""
        if self.is_center_admin:
            return EVERYTHING
        return Scope(institutions=frozenset(reached_institution(grant.reach) for grant in self.grants))

    def administers(self, institution: InstitutionId) -> bool:
        """Tell whether the caller may act for the whole institution."""
        return self.is_center_admin or any(
            grant.role is Role.INSTITUTION_ADMIN and grant.reach == institution for grant in self.grants
        )

    def works_on(self, project: ProjectId) -> bool:
        """Tell whether the caller may use a project's quota and credit."""
        reaches = {project, institution_of(project)}
        return self.administers(institution_of(project)) or any(grant.reach in reaches for grant in self.grants)


def reached_institution(reach: str) -> InstitutionId:
    """Return the institution that a grant's reach, an institution or a project, lies in."""
    return InstitutionId(reach.partition(".")[0])


def digest_of(secret: str) -> bytes:
    """Return what is stored of a token's secret: 256 random bits need no salt and no slow hash."""
    return sha256(secret.encode()).digest()


def authenticate(work: Office, secret: str, *, now: Seconds) -> Caller | None:
    """Return who a secret stands for, or nothing: one answer for unknown, expired and revoked ones, and leavers."""
    token = work.tokens.by_digest(digest_of(secret))
    center = work.facilities.center()
    if token is None or center is None or not token.good_at(now):
        return None
    person = work.people.get(EVERYTHING, token.person)
    if person is None or person.left is not None:
        return None
    grants = tuple(grant for grant in work.grants.of(person.id) if grant.holds_at(now))
    return Caller(person=person.id, center=center.id, grants=grants, until=token.until)
