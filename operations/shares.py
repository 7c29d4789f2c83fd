"""The quota tree as people see and edit it: nobody is promised what their parent does not have."""

from collections.abc import Sequence
from typing import Final, NewType

from operations.callers import Caller, reached_institution
from operations.policies import Subject, Who, forbidden
from operations.ports.office import Office, ShareVersion
from operations.reasons import ChangedMeanwhile, Forbidden, Reason, Refused, Unknown
from quotas.claims import quota_faults
from quotas.reasons import ChildrenPromisedMore, FollowsNodes, NominalsExceedParent, ParentWithoutShare
from quotas.tree import Quota, Share
from registry.ids import InstitutionId, PoolId, ProjectId, ShareId
from registry.people import EVERYTHING, Scope
from registry.resources import NOTHING, Resources, names, total

Version = NewType("Version", int)
"""The number of a share's last change, as its editor read it."""

ABSENT: Final = Version(0)
"""The version of a share that does not exist yet."""


def see_share(work: Office, scope: Scope, share: ShareId, pool: PoolId) -> ShareVersion | Refused:
    """Return one share; everybody sees the center's."""
    return work.shares.get(scope, share, pool) or Refused(reasons=(Unknown(what="share"),))


def list_shares(work: Office, scope: Scope, *, pool: PoolId | None, after: str, limit: int) -> tuple[ShareVersion, ...]:
    """Return shares by pool and id."""
    return work.shares.page(scope, pool=pool, after=after, limit=limit)


def set_quota(
    work: Office, caller: Caller, share: ShareId, pool: PoolId, quota: Quota, *, version: Version
) -> ShareVersion | Refused:
    """Give an institution or a project its quota in a pool, if it still has the version that the caller has seen.

    The pool is locked first: two who give at once what is left only once are one after the other.
    """
    if reason := _not_editable(work, caller, share, pool):
        return Refused(reasons=(reason,))
    work.capacity.lock([pool])
    before = work.shares.get(EVERYTHING, share, pool)
    if version != (before.version if before else ABSENT):
        return Refused(reasons=(ChangedMeanwhile(),))
    parent_id = _parent(caller, share)
    parent = work.shares.get(EVERYTHING, parent_id, pool)
    if parent is None:
        return Refused(reasons=(ParentWithoutShare(parent=parent_id, pool=pool),))
    after = Share(id=share, pool=pool, parent=parent_id, quota=quota)
    if faults := _faults(work, after, parent.share, before.share if before else None):
        return Refused(reasons=faults)
    work.shares.put(after)
    return see_share(work, EVERYTHING, share, pool)


def _not_editable(work: Office, caller: Caller, share: ShareId, pool: PoolId) -> Reason | None:
    """Return why the caller cannot set this share's quota, whatever it is: it is not there, or not theirs to set."""
    if work.register.pool(pool) is None:
        return Unknown(what="pool")
    if share == ShareId(caller.center):
        return FollowsNodes(pool=pool) if caller.is_center_admin else Forbidden(needs=Who.CENTER_ADMIN.value)
    if not _exists(work, caller.scope, share):
        return Unknown(what="share")
    action = "shares:set" if _is_project(share) else "shares:set-of-institution"
    return forbidden(caller, action, Subject(institution=reached_institution(share)))


def _exists(work: Office, scope: Scope, share: ShareId) -> bool:
    if _is_project(share):
        return work.projects.get(scope, ProjectId(share)) is not None
    return work.institutions.get(scope, InstitutionId(share)) is not None


def _is_project(share: ShareId) -> bool:
    return "." in share


def _parent(caller: Caller, share: ShareId) -> ShareId:
    return ShareId(reached_institution(share)) if _is_project(share) else ShareId(caller.center)


def _faults(work: Office, after: Share, parent: Share, before: Share | None) -> tuple[Reason, ...]:
    """Return what is wrong with a quota.

    To give some back is never wrong: after a node was lost too much is promised, and the way back has many steps.
    """
    siblings = work.shares.children(parent.id, parent.pool)
    faults = quota_faults(after.quota, parent=parent, siblings=siblings, share=after.id, pool=after.pool)
    had = before.quota.nominal if before else NOTHING
    grave = (
        fault
        for fault in faults
        if not isinstance(fault, NominalsExceedParent) or fault.asked > had.amount(fault.resource)
    )
    return (*grave, *_broken_promises(after, work.shares.children(after.id, after.pool)))


def _broken_promises(after: Share, children: Sequence[Share]) -> tuple[ChildrenPromisedMore, ...]:
    nominal = after.quota.nominal
    promised: Resources = total(child.quota.nominal for child in children)
    return tuple(
        ChildrenPromisedMore(
            share=after.id,
            pool=after.pool,
            resource=name,
            asked=nominal.amount(name),
            promised=promised.amount(name),
        )
        for name in names(promised)
        if promised.amount(name) > nominal.amount(name)
    )
