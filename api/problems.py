"""Every refusal as a problem document (RFC 9457): the one place that maps types of reasons to statuses."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from api.flaws import flaws
from api.languages import language_of
from api.schemas.problems import ProblemOut, ReasonOut
from operations import reasons as told
from operations.ports.store import StoreUnavailableError
from operations.reasons import Reason, Refused
from operations.sentences import Language, sentence, title, values
from quotas import reasons as quota
from registry import reasons as register
from scheduler import reasons as engine

T = TypeVar("T")

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[type, int]] = {
    told.Broken: HTTPStatus.INTERNAL_SERVER_ERROR,
    told.ChangedMeanwhile: HTTPStatus.PRECONDITION_FAILED,
    told.Forbidden: HTTPStatus.FORBIDDEN,
    told.HeadersTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    told.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    told.KeyUsedOtherwise: HTTPStatus.UNPROCESSABLE_ENTITY,
    told.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    told.NotKeptApart: HTTPStatus.CONFLICT,
    told.NodesFollow: HTTPStatus.CONFLICT,
    told.NotPending: HTTPStatus.CONFLICT,
    told.NotRunning: HTTPStatus.CONFLICT,
    told.OutsideWorkerRange: HTTPStatus.UNPROCESSABLE_ENTITY,
    told.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    told.TooManyStreams: HTTPStatus.TOO_MANY_REQUESTS,
    told.AskedTooSoon: HTTPStatus.TOO_MANY_REQUESTS,
    told.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    told.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    told.Unknown: HTTPStatus.NOT_FOUND,
    told.VersionMissing: HTTPStatus.PRECONDITION_REQUIRED,
    told.WrongMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    register.HasEnded: HTTPStatus.UNPROCESSABLE_ENTITY,
    register.NodeBusy: HTTPStatus.CONFLICT,
    register.NotThere: HTTPStatus.UNPROCESSABLE_ENTITY,
    register.OwnAccess: HTTPStatus.CONFLICT,
    register.PeriodEndsBeforeItBegins: HTTPStatus.UNPROCESSABLE_ENTITY,
    register.RoleReachMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    register.Taken: HTTPStatus.CONFLICT,
    register.TooEarly: HTTPStatus.UNPROCESSABLE_ENTITY,
    register.TooManyTokens: HTTPStatus.CONFLICT,
    quota.BeyondLimit: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.ChildrenPromisedMore: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.FollowsNodes: HTTPStatus.CONFLICT,
    quota.LendingBeyondNominal: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.NoCredit: HTTPStatus.CONFLICT,
    quota.NoShare: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.NominalsExceedParent: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.ParentWithoutShare: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.PoolWithoutRule: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.RuleTooDear: HTTPStatus.UNPROCESSABLE_ENTITY,
    quota.ShareFull: HTTPStatus.CONFLICT,
    engine.ClassShareFull: HTTPStatus.CONFLICT,
    engine.ExtensionTooLong: HTTPStatus.CONFLICT,
    engine.GangNeverFits: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BeyondClassShare: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.StartFailed: HTTPStatus.CONFLICT,
    engine.SetAside: HTTPStatus.CONFLICT,
    engine.HeldByOperator: HTTPStatus.CONFLICT,
    engine.HeldByUser: HTTPStatus.CONFLICT,
    engine.InstitutionWaitsEnough: HTTPStatus.CONFLICT,
    engine.MakesWay: HTTPStatus.CONFLICT,
    engine.MinimumAboveMaximum: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.NoRate: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.NodesFull: HTTPStatus.CONFLICT,
    engine.PersonAtClassLimit: HTTPStatus.CONFLICT,
    engine.ProcessNeverFits: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.TooManyWaiting: HTTPStatus.CONFLICT,
    engine.TooManyWorkers: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.UnknownEnvironment: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.WalltimeTooLong: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.WouldDelayPromised: HTTPStatus.CONFLICT,
    engine.WouldDelayReserved: HTTPStatus.CONFLICT,
    engine.OthersFirst: HTTPStatus.CONFLICT,
    engine.BookedAhead: HTTPStatus.CONFLICT,
    engine.BookedWorkRuns: HTTPStatus.CONFLICT,
    engine.BookingNodeUnknown: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BookingNotOfProject: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BookingOfOtherPool: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BookingOver: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BookingNotBegun: HTTPStatus.CONFLICT,
    engine.BookingOverlaps: HTTPStatus.CONFLICT,
    engine.BookingTooLong: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BookingTooShort: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BookingTooSmall: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.BookingWithoutProject: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.MaintenanceOfProject: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.NodesNamedOrCounted: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.OnlyMaintenanceDisplaces: HTTPStatus.UNPROCESSABLE_ENTITY,
    engine.TooFewNodesFree: HTTPStatus.CONFLICT,
}

_HEADERS: Final[Mapping[type, Mapping[str, str]]] = {
    told.Unauthenticated: {"WWW-Authenticate": 'Bearer realm="haidang"'},
    told.Unavailable: {"Retry-After": "2"},
    told.AskedTooSoon: {"Retry-After": "2"},
}
_BY_STATUS: Final[Mapping[int, Reason]] = {
    HTTPStatus.NOT_FOUND: told.Unknown(what="page"),
    HTTPStatus.METHOD_NOT_ALLOWED: told.MethodNotAllowed(),
}
"""What the framework says no to by itself, before any of our code is asked."""


class RefusedError(Exception):
    """An answer that is a no, on its way to the caller."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused)
        self.refused = refused


def accepted(outcome: T | Refused) -> T:
    """Return what was asked for.

    Raises:
        RefusedError: it was refused; the caller gets the problem.
    """
    if isinstance(outcome, Refused):
        raise RefusedError(outcome)
    return outcome


def refused(*reasons: Reason) -> RefusedError:
    """Return the exception that refuses a call for these reasons."""
    return RefusedError(Refused(reasons=reasons))


def reason_out(reason: Reason, language: Language) -> ReasonOut:
    """Return a reason as it goes out, here and wherever a request says why it waits."""
    numbers = {name: value for name, value in values(reason).items() if name != "field" and value is not None}
    return ReasonOut(
        code=reason.code, field=getattr(reason, "field", None), sentence=sentence(reason, language), **numbers
    )


def problem(reasons: Sequence[Reason], headers: Headers) -> Response:
    """Return the response to a call that is refused, in the language that its headers ask for."""
    language, first = language_of(headers), reasons[0]
    told_reasons = [reason_out(reason, language) for reason in reasons]
    body = ProblemOut(
        type=first.code,
        title=title(first, language),
        status=STATUS[type(first)],
        detail=" ".join(reason.sentence for reason in told_reasons),
        reasons=told_reasons,
    )
    extra = {"Content-Language": language.value, "Vary": "Accept-Language", **_HEADERS.get(type(first), {})}
    return Response(
        body.model_dump_json(exclude_none=True), status_code=body.status, headers=extra, media_type=MEDIA_TYPE
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how a route documents the problems it answers with, beside those that every route may."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return {int(status): {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def answer_with_problems(app: FastAPI) -> None:
    """Have every error of the application answered with a problem document."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _declined)
    app.add_exception_handler(StoreUnavailableError, _unavailable)
    app.add_exception_handler(Exception, _broken)


def _refused(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, RefusedError), error
    return problem(error.refused.reasons, http.headers)


def _invalid(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), error
    return problem(tuple(flaws(error.errors())), http.headers)


def _declined(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException), error
    unreadable = told.Invalid(field="body", problem=told.Flaw.UNREADABLE)
    response = problem((_BY_STATUS.get(error.status_code, unreadable),), http.headers)
    response.headers.update(error.headers or {})
    return response


def _unavailable(http: HttpRequest, _error: Exception) -> Response:
    return problem((told.Unavailable(),), http.headers)


def _broken(http: HttpRequest, _error: Exception) -> Response:
    return problem((told.Broken(),), http.headers)
