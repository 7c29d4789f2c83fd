"""What callers do with requests and see of them: whether they may is asked in the same transaction that does it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final

from operations.callers import Caller
from operations.events import EventKind
from operations.extending import extend
from operations.follower import Seen
from operations.policies import Subject, Who, forbidden
from operations.ports.office import BEFORE_ALL, Office, Place, RequestFilter, RequestView, Told
from operations.ports.store import KeptLog
from operations.reasons import Forbidden, NotRunning, Refused, Unknown
from operations.replaying import ReplayKey, once
from operations.requests import as_it_stands, cancel, hold, refusals, release, scale, submit, tags_of
from registry.centers import Environment
from registry.ids import BEGINNING, PoolId, ProjectId, RequestId, Seconds
from registry.tags import Tags
from scheduler.clusters import HEAD_ORDINAL
from scheduler.policy import Policy
from scheduler.requests import Draft, Request, RequestClass, State

_MOST_OF_ONE_MARK: Final = 64
"""More events than one transaction tells of one request."""
_MOST_OF_ONE_REQUEST: Final = 100_000

Change = Callable[[Office, RequestId], Request | Refused]


class Holder(StrEnum):
    """In whose name a request is held or released."""

    USER = "user"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks for before it is known where it belongs: the draft waits for its tags."""

    project: ProjectId
    pool: PoolId
    request_class: RequestClass
    drafted: Callable[[Tags], Draft]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the owner reaches a running cluster: all PEM but the address, and the environment a client must match."""

    address: str
    authority: str
    certificate: str
    key: str
    environment: Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What of a request's events was not told yet; whether there is more already, and whether there never will be."""

    told: tuple[Told, ...]
    more: bool
    ended: bool


def submit_for(
    work: Office, caller: Caller, asked: Asked, replay: ReplayKey | None, policy: Policy, *, now: Seconds
) -> RequestView | Refused:
    """Accept what a caller asks for in a project of theirs, or say why not."""
    draft = _drafted(work, caller, asked, policy)
    outcome = draft if isinstance(draft, Refused) else submit(work, draft, replay, policy, now=now)
    return outcome if isinstance(outcome, Refused) else _view(work, outcome)


def acceptable_for(work: Office, caller: Caller, asked: Asked, policy: Policy, *, now: Seconds) -> Draft | Refused:
    """Return what a caller asks for as it would be accepted if they submitted it, or say why it would not be."""
    draft = _drafted(work, caller, asked, policy)
    if isinstance(draft, Refused):
        return draft
    reasons = refusals(work, draft, policy, now)
    return Refused(reasons=reasons) if reasons else draft


def cancel_for(work: Office, caller: Caller, request: RequestId, *, now: Seconds) -> RequestView | Refused:
    """End a request for its owner or who administers it."""
    return _change(work, caller, "requests:cancel", request, partial(cancel, now=now))


def extend_for(
    work: Office,
    caller: Caller,
    request: RequestId,
    seconds: int,
    seen: Seen,
    *,
    replay: ReplayKey | None,
    now: Seconds,
) -> RequestView | Refused:
    """Let a cluster go on for longer, for its owner or who administers it; a repeated key adds nothing more."""

    def longer(work: Office, request: RequestId) -> Request | Refused:
        deed = partial(extend, work, request, seconds, seen, now=now)
        return once(work, replay, request, deed, partial(as_it_stands, work), now=now)

    return _change(work, caller, "requests:extend", request, longer)


def scale_for(
    work: Office, caller: Caller, request: RequestId, workers: int, policy: Policy, *, now: Seconds
) -> RequestView | Refused:
    """Say for its owner or who administers it how many workers a cluster should have."""
    return _change(work, caller, "clusters:scale", request, partial(scale, workers=workers, policy=policy, now=now))


def hold_for(
    work: Office, caller: Caller, request: RequestId, holder: Holder | None, *, now: Seconds
) -> RequestView | Refused:
    """Keep a request from starting: in the operator's name for who runs the center, else in its user's."""
    return _change(work, caller, "requests:hold", request, partial(_held, caller, holder, now=now))


def release_for(
    work: Office, caller: Caller, request: RequestId, holder: Holder | None, *, now: Seconds
) -> RequestView | Refused:
    """Let a held request take its turn again as far as this name held it."""
    return _change(work, caller, "requests:release", request, partial(_released, caller, holder, now=now))


def request_seen(work: Office, caller: Caller, request: RequestId) -> RequestView | Refused:
    """Return a request as the caller sees it; one of another institution is not there."""
    return work.request_views.get(caller.scope, request) or Refused(reasons=(Unknown(what="request"),))


def cluster_seen(work: Office, caller: Caller, request: RequestId) -> RequestView | Refused:
    """Return a request that has a cluster; one that waits or has ended has none."""
    view = request_seen(work, caller, request)
    if isinstance(view, Refused) or view.request.state is State.PLACED:
        return view
    return Refused(reasons=(NotRunning(state=view.request.state),))


def requests_seen(
    work: Office, caller: Caller, wanted: RequestFilter, *, after: str, limit: int
) -> tuple[RequestView, ...]:
    """Return the requests that the caller sees, newest first."""
    return work.request_views.page(caller.scope, wanted, after=after, limit=limit)


def events_seen(work: Office, caller: Caller, request: RequestId, after: Place, *, limit: int) -> Story | Refused:
    """Return a request's events after a place in the journal, as many as `limit`.

    A place beyond the journal's end is none of this journal, so the story is told from its beginning.
    """
    view = request_seen(work, caller, request)
    if isinstance(view, Refused):
        return view
    place = after if after.mark < work.request_views.horizon() else BEFORE_ALL
    story = news_of(work, caller, request, place, limit=limit)
    return replace(story, ended=True) if not story.told and _has_ended(work, caller, view.request) else story


def news_of(work: Office, caller: Caller, request: RequestId, after: Place, *, limit: int) -> Story:
    """Return the events after a place to which the caller was told everything: only one of them can be the end."""
    # The events of the mark itself are read again and left out.
    read = work.request_views.events(caller.scope, request, since=after.mark, limit=limit + _MOST_OF_ONE_MARK)
    new = tuple(told for told in read if (told.mark, told.number) > (after.mark, after.number))
    return Story(told=new[:limit], more=len(new) > limit, ended=len(new) <= limit and _ends(new))


def access_for(work: Office, caller: Caller, request: RequestId) -> Access | Refused:
    """Return how to reach a cluster, to nobody but the person who asked for it."""
    view = request_seen(work, caller, request)
    if isinstance(view, Refused):
        return view
    if refusal := forbidden(caller, "clusters:connect", _subject(view.request)):
        return Refused(reasons=(refusal,))
    address, credentials = _address(view), work.vault.get(request)
    environment = work.register.environment(view.request.environment)
    if address is None or credentials is None or environment is None:
        return Refused(reasons=(NotRunning(state=view.request.state),))
    owner = credentials.leaves["owner"]
    return Access(
        address=address,
        authority=credentials.authority,
        certificate=owner.certificate,
        key=owner.key,
        environment=environment,
    )


def logs_seen(work: Office, caller: Caller, request: RequestId) -> tuple[KeptLog, ...] | Refused:
    """Return the logs of a request to its owner and who administers it: what they print is not everybody's."""
    refused = _refused(work, caller, "requests:logs", request)
    return refused or work.logs.of(request)


def log_seen(work: Office, caller: Caller, request: RequestId, process: str) -> tuple[KeptLog, str] | Refused:
    """Return what one process of a request printed last."""
    logs = logs_seen(work, caller, request)
    if isinstance(logs, Refused):
        return logs
    log = next((one for one in logs if one.process == process), None)
    text = None if log is None else work.logs.text(log.uid)
    if log is None or text is None:
        return Refused(reasons=(Unknown(what="log"),))
    return log, text


def _drafted(work: Office, caller: Caller, asked: Asked, policy: Policy) -> Draft | Refused:
    """Return what a caller asks for in a project of theirs, or why they may not."""
    tags = tags_of(work, caller, asked.project, asked.pool)
    if isinstance(tags, Refused):
        return tags
    if policy.classes[asked.request_class].admin_only and not caller.administers(tags.institution):
        return Refused(reasons=(Forbidden(needs=Who.INSTITUTION_ADMIN.value, field="class"),))
    return asked.drafted(tags)


def _refused(work: Office, caller: Caller, action: str, request: RequestId) -> Refused | None:
    """Return why a caller may not do something to a request, if they may not or do not even see it."""
    view = request_seen(work, caller, request)
    if isinstance(view, Refused):
        return view
    refusal = forbidden(caller, action, _subject(view.request))
    return Refused(reasons=(refusal,)) if refusal else None


def _change(work: Office, caller: Caller, action: str, request: RequestId, change: Change) -> RequestView | Refused:
    """Change a request that the caller sees and may change; who may only see it is told who may change it."""
    if refused := _refused(work, caller, action, request):
        return refused
    outcome = change(work, request)
    return outcome if isinstance(outcome, Refused) else _view(work, outcome)


def _view(work: Office, request: Request) -> RequestView:
    """Return a changed request with its slots; one that waits has none yet."""
    slots = () if request.state is State.PENDING else work.clusters.slots(request.id)
    return RequestView(request=request, slots=slots)


def _subject(request: Request) -> Subject:
    return Subject(institution=request.institution, project=request.project, person=request.person)


def _held(
    caller: Caller, holder: Holder | None, work: Office, request: RequestId, *, now: Seconds
) -> Request | Refused:
    by_operator = _by_operator(work, caller, holder, request)
    return by_operator if isinstance(by_operator, Refused) else hold(work, request, by_operator=by_operator, now=now)


def _released(
    caller: Caller, holder: Holder | None, work: Office, request: RequestId, *, now: Seconds
) -> Request | Refused:
    by_operator = _by_operator(work, caller, holder, request)
    return by_operator if isinstance(by_operator, Refused) else release(work, request, by_operator=by_operator, now=now)


def _by_operator(work: Office, caller: Caller, holder: Holder | None, request_id: RequestId) -> bool | Refused:
    """Tell in whose name the caller holds: unless they say so, the owner is a user wherever they are an operator."""
    if holder is Holder.OPERATOR and not caller.is_center_admin:
        return Refused(reasons=(Forbidden(needs=Who.CENTER_ADMIN.value, field="as"),))
    if holder is not None:
        return holder is Holder.OPERATOR
    request = work.requests.get(request_id)
    return caller.is_center_admin and request is not None and request.person != caller.person


def _address(view: RequestView) -> str | None:
    """Return where the head of a running cluster answers, unless it does not yet, or no longer."""
    if view.request.state is not State.PLACED or view.request.ending is not None:
        return None
    heads = (slot for slot in view.slots if slot.ordinal == HEAD_ORDINAL and slot.released is None)
    return next((slot.address for slot in heads), None)


def _has_ended(work: Office, caller: Caller, request: Request) -> bool:
    """Tell whether the end of a request was told before: its row may say so before its journal does."""
    if request.state is not State.ENDED:
        return False
    return _ends(work.request_views.events(caller.scope, request.id, since=BEGINNING, limit=_MOST_OF_ONE_REQUEST))


def _ends(story: Iterable[Told]) -> bool:
    return any(told.event.kind is EventKind.ENDED for told in story)
