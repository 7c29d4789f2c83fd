"""What one scrape shows: the committed state as it was read, and how fresh that is."""

from dataclasses import dataclass

from exporters.totals import Totals
from operations.ports.outside import Pulse
from registry.centers import Pool
from registry.ids import CenterId, InstitutionId, PoolId, Seconds
from registry.tags import UNREPORTED
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The committed state as it was read at `seen`; a center has no id before it is named."""

    seen: Seconds
    snapshot: Snapshot
    center: CenterId | None
    pools: tuple[Pool, ...]
    institutions: tuple[InstitutionId, ...]
    totals: Totals

    def center_label(self) -> str:
        """Return how the center is labeled where there is no pool to say it."""
        return self.center or UNREPORTED

    def pool_labels(self, pool: PoolId | None) -> tuple[str, str]:
        """Return the labels of a pool and its center; an entry whose pool nobody set counts as unreported."""
        center = next((one.center for one in self.pools if one.id == pool), self.center_label())
        return center, pool or UNREPORTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """A picture with how it was come by: when it is shown, what reading took, and when the loops last went round.

    A loop that has not gone round since this process began has no moment.
    """

    picture: Picture
    now: Seconds
    reading_nanoseconds: int
    pulse: Pulse
