"""When a cluster has stood idle long enough to end."""

from registry.ids import Seconds
from scheduler.observed import HeadClaim
from scheduler.requests import Request


def idle_too_long(request: Request, claim: HeadClaim | None, now: Seconds) -> bool:
    """Tell whether a cluster's Dask scheduler says that it has had neither work nor clients for the agreed time.

    A scheduler that does not answer is not idle: nothing ends for want of an answer before its walltime.
    """
    if claim is None or claim.idle_since is None or claim.clients > 0:
        return False
    return now - claim.idle_since >= request.idle_seconds
