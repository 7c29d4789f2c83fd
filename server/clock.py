"""The machine's clock, the only one the center reads."""

import time

from registry.ids import Seconds


class SystemClock:
    """`Clock` of this machine."""

    def now(self) -> Seconds:
        """Return the current second."""
        return Seconds(int(time.time()))
