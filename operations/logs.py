"""What processes printed last: kept when they have ended, shown to whom they belong, dropped after a while."""

from typing import Final

from operations.ports.store import KeptLog, Work
from registry.ids import Seconds
from scheduler.observed import ObservedProcess

KEPT_SECONDS: Final = 30 * 24 * 3600
MOST_OF_ONE_REQUEST: Final = 100


def keep_log(work: Work, seen: ObservedProcess, content: bytes, *, now: Seconds) -> None:
    """Keep the end of an ended process's log, as text; the oldest ones of its request, and of all, make room.

    What is no UTF-8 is replaced, and so is the character that a database takes for an end.
    """
    text = content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    log = KeptLog(uid=seen.uid, request=seen.request, process=seen.name, at=seen.ended or now, characters=len(text))
    work.logs.keep(log, text)
    work.logs.drop(before=Seconds(now - KEPT_SECONDS))
    for old in work.logs.of(seen.request)[MOST_OF_ONE_REQUEST:]:
        work.logs.drop_one(old.uid)
