"""What can go wrong when asking a center for compute, as exceptions whose text is a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why the center says no, or not yet: `code` for programs, `sentence` for people, the numbers of this case.

    `field` names the argument or field of the request that the reason is about, where there is one.
    """

    code: str
    sentence: str
    field: str | None
    numbers: Mapping[str, object]

    @classmethod
    def of(cls, told: object) -> Reason:
        """Read a reason as the center writes it; what is not written that way becomes a reason all the same."""
        if not isinstance(told, Mapping):
            return cls(code=str(told), sentence=str(told), field=None, numbers={})
        known = {"code", "sentence", "field"}
        code = str(told.get("code", "unknown"))
        return cls(
            code=code,
            sentence=str(told.get("sentence") or code),
            field=str(told["field"]) if told.get("field") is not None else None,
            numbers={str(name): value for name, value in told.items() if name not in known},
        )


class HaidangWarning(UserWarning):
    """Something to know that stops nothing. Its text is a sentence in the chosen language."""


class HaidangError(Exception):
    """Anything that this package raises on purpose. `str(error)` is a sentence in the chosen language."""


class ArgumentError(HaidangError, ValueError):
    """An argument of a call cannot be read; `argument` names it. Nothing was sent."""

    def __init__(self, argument: str, sentence: str) -> None:
        super().__init__(sentence)
        self.argument = argument


class SettingsError(HaidangError):
    """The client does not know which center to ask, or as whom."""


class DaskMissingError(HaidangError, ImportError):
    """Dask is not installed here, so nothing could compute on a cluster."""


class UnreachableError(HaidangError, ConnectionError):
    """The center did not answer, however often it was asked."""


class ClosedError(HaidangError):
    """This client was closed and asks nothing any more."""


class NoCenterError(HaidangError):
    """Something answered at the address, but not as a center does."""


class RefusedError(HaidangError):
    """The center said no. The subclass says which kind of no it was.

    `status` is HTTP's, `code` the kind of problem, `title` and `detail` its words, `reasons` every reason for it.
    """

    def __init__(self, status: int, code: str, title: str, detail: str, reasons: Sequence[Reason]) -> None:
        super().__init__(_told(title, detail, reasons))
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.reasons = tuple(reasons)


class UnauthenticatedError(RefusedError):
    """401: the token is missing, unknown, expired or revoked."""


class ForbiddenError(RefusedError):
    """403: the caller may see it but not do it."""


class UnknownError(RefusedError):
    """404: there is no such thing, or none that the caller may see."""


class ConflictError(RefusedError):
    """409 or 412: it cannot be done in the state things are in."""


class InvalidError(RefusedError):
    """400, 413 or 422: what was asked has a value that cannot be, or could never run; `reasons` name the fields."""


class BusyError(RefusedError):
    """429: the center asks this caller to slow down, and was given the time that it asked for."""


class CenterFailedError(RefusedError):
    """5xx: the center could not answer; nothing was changed."""


class EndedError(HaidangError):
    """The request ended before its cluster ran; `why` is the center's code for it."""

    def __init__(self, sentence: str, request_id: str, why: str | None) -> None:
        super().__init__(sentence)
        self.request_id = request_id
        self.why = why


class WaitedTooLongError(HaidangError, TimeoutError):
    """The request did not start within the time that the caller wanted to wait, and was cancelled."""


class EnvironmentMismatchError(HaidangError):
    """This Python cannot work with the cluster's; `command` builds one that can."""

    def __init__(self, sentence: str, command: str) -> None:
        super().__init__(sentence)
        self.command = command


def refusal(status: int, told: Mapping[str, object]) -> RefusedError:
    """Make the exception for a problem (RFC 9457) as the center wrote it."""
    reasons = told.get("reasons")
    title = str(told.get("title") or f"HTTP {status}")
    return _kind(status)(
        status,
        str(told.get("type") or "about:blank").rpartition("/")[2],
        title,
        str(told.get("detail") or ""),
        [Reason.of(one) for one in reasons] if isinstance(reasons, list) else [],
    )


_KINDS: Mapping[int, type[RefusedError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: UnknownError,
    409: ConflictError,
    412: ConflictError,
    413: InvalidError,
    422: InvalidError,
    429: BusyError,
}


def _kind(status: int) -> type[RefusedError]:
    default = CenterFailedError if status >= 500 else RefusedError  # noqa: PLR2004 - where HTTP draws the line
    return _KINDS.get(status, default)


def _told(title: str, detail: str, reasons: Sequence[Reason]) -> str:
    """Say it once: the detail usually holds the reasons' sentences already."""
    sentences = dict.fromkeys(reason.sentence for reason in reasons if reason.sentence not in detail)
    return " ".join([*([detail] if detail else []), *sentences]) or title
