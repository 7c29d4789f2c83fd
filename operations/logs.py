"""What processes printed last: kept when they have ended, shown to whom they belong, dropped after a while."""

from typing import Final

from operations.ports.store import KeptLog, Work
from registry.ids import Seconds
from scheduler.observed import ObservedProcess

KEPT_SECONDS: Final = 30 * 24 * 3600
MOST_OF_ONE_INSTITUTION: Final = 5000
"""As many as make a third of a GiB at most: whoever starts processes without end pushes out their own logs alone."""


def keep_log(work: Work, seen: ObservedProcess, content: bytes, *, now: Seconds) -> None:
    """Keep the end of an ended process's log, as text; the oldest logs of its institution, and of all, make room.

    What is no UTF-8 is replaced, and so is the character that a database takes for an end. A process that no request
    knows has no owner to show anything to.
    """
    request = work.requests.get(seen.request)
    if request is None:
        return
    text = content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    log = KeptLog(
        uid=seen.uid,
        request=seen.request,
        institution=request.institution,
        process=seen.name,
        at=seen.ended or now,
        characters=len(text),
    )
    work.logs.keep(log, text)
    work.logs.drop(before=Seconds(now - KEPT_SECONDS))
    work.logs.thin(request.institution, newest=MOST_OF_ONE_INSTITUTION)
