"""Where the time of something measured goes, by function, for whoever asks for it beside the figures."""

import pstats
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from cProfile import Profile


@contextmanager
def profiled(most: int) -> Iterator[None]:
    """Print on standard error which functions took longest themselves, at most so many; profile nothing for 0."""
    if not most:
        yield
        return
    profile = Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        for order in ("tottime", "cumulative"):
            pstats.Stats(profile, stream=sys.stderr).sort_stats(order).print_stats(most)
