"""What keeps processes from starting in the outside world, as far as it says so."""

from enum import StrEnum
from typing import Final


class Trouble(StrEnum):
    """Why a process does not start as things stand, although the center has placed it."""

    OUTSIDE_QUOTA = "outside-quota"
    OUTSIDE_REFUSAL = "outside-refusal"
    UNSCHEDULABLE = "unschedulable"
    IMAGE = "image"
    CONTAINER = "container"


REFUSALS: Final = frozenset({Trouble.OUTSIDE_QUOTA, Trouble.OUTSIDE_REFUSAL})
"""What is said when a process is to be made: of such a one nothing exists. The others stand there and do not begin."""
