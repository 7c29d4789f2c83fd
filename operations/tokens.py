"""Secrets that stand for people: made and shown once, listed without the secret, revoked."""

from dataclasses import replace

from operations.callers import Caller, reached_institution
from operations.people import find_person, institutions_held
from operations.policies import Subject, forbidden
from operations.ports.office import Office
from operations.reasons import Refused, Unknown
from registry.ids import InstitutionId, PersonId, Seconds, TokenId
from registry.people import MOST_TOKENS, Token
from registry.reasons import HasEnded, TooEarly, TooManyTokens


def issue_token(work: Office, caller: Caller, token: Token, digest: bytes, *, now: Seconds) -> Token | Refused:
    """Keep a token for a person who may do nothing that its maker may not.

    One made for oneself ends with the one that it was made by, or a short-lived one could live for ever.
    """
    held = _manageable(work, caller, "tokens:issue", token.person, now=now)
    if isinstance(held, Refused):
        return held
    if not held:
        return Refused(reasons=(HasEnded(field="person", id=token.person),))
    if not token.good_at(now):
        return Refused(reasons=(TooEarly(field="until", earliest=Seconds(now + 1)),))
    if sum(one.good_at(now) for one in work.tokens.of(token.person)) >= MOST_TOKENS:
        return Refused(reasons=(TooManyTokens(most=MOST_TOKENS),))
    if token.person == caller.person:
        token = replace(token, until=_earlier(token.until, caller.until))
    work.tokens.add(token, digest)
    return token


def list_tokens(work: Office, caller: Caller, person: PersonId, *, now: Seconds) -> tuple[Token, ...] | Refused:
    """Return all tokens of a person, revoked ones too."""
    held = _manageable(work, caller, "tokens:list", person, now=now)
    return held if isinstance(held, Refused) else work.tokens.of(person)


def revoke_token(work: Office, caller: Caller, person: PersonId, token: TokenId, *, now: Seconds) -> Refused | None:
    """Revoke a token of a person; to revoke it again changes nothing."""
    held = _manageable(work, caller, "tokens:revoke", person, now=now)
    if isinstance(held, Refused):
        return held
    return None if work.tokens.revoke(person, token, now) else Refused(reasons=(Unknown(what="token"),))


def _manageable(
    work: Office, caller: Caller, action: str, person: PersonId, *, now: Seconds
) -> frozenset[InstitutionId] | Refused:
    """Return where a person may act, if the caller is that person or administers all of it.

    A token carries everything that its person may do: whoever could make one for somebody with more rights would
    have those rights. Of somebody who has no rights left, what they had decides.
    """
    if find_person(work, caller, person) is None:
        return Refused(reasons=(Unknown(what="person"),))
    held = institutions_held(work, person, now=now)
    had = held or {reached_institution(grant.reach) for grant in work.grants.of(person)}
    noes = (forbidden(caller, action, Subject(institution=one, person=person)) for one in sorted(had))
    no = next((one for one in noes if one), None)
    return Refused(reasons=(no,)) if no else held


def _earlier(asked: Seconds | None, bound: Seconds | None) -> Seconds | None:
    return min((moment for moment in (asked, bound) if moment is not None), default=None)
