"""Who acts, for whom, in which role and until when."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registry.ids import InstitutionId, PersonId, Seconds, TokenId


class Role(StrEnum):
    """What a person may do within the reach of the grant."""

    RESEARCHER = "researcher"
    INSTITUTION_ADMIN = "institution_admin"
    CENTER_ADMIN = "center_admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGrant:
    """One role of one person, reaching a whole center, an institution or a project; without `until` it lasts."""

    person: PersonId
    role: Role
    reach: str
    until: Seconds | None = None

    def holds_at(self, now: Seconds) -> bool:
        """Tell whether the grant is in force."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who acts at the center; `left` is when they lost all access."""

    id: PersonId
    name: str
    left: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret that stands for a person; only the hash of its 256 random bits is kept."""

    id: TokenId
    person: PersonId
    label: str
    made: Seconds
    until: Seconds | None = None
    revoked: Seconds | None = None

    def good_at(self, now: Seconds) -> bool:
        """Tell whether the token still stands for its person."""
        return self.revoked is None and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose rows may be seen: those of some institutions, or of all where `institutions` is None."""

    institutions: frozenset[InstitutionId] | None

    def covers(self, institution: InstitutionId) -> bool:
        """Tell whether the institution's rows may be seen."""
        return self.institutions is None or institution in self.institutions


MOST_TOKENS: Final = 100
"""Good ones of one person: whoever dismisses somebody revokes them all in one transaction."""

EVERYTHING: Final = Scope(institutions=None)
