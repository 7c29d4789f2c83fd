"""How much more credit has to be held for a process so that it may run until a moment."""

from quotas.charges import Tariff
from quotas.rates import price
from registry.ids import MicroCredits, Seconds
from scheduler.clusters import Process


def missing_hold(tariff: Tariff, slot: Process, until: Seconds, now: Seconds) -> MicroCredits:
    """Return what a slot's hold lacks of what will have been used by a moment and is not charged yet.

    A process that has not begun begins now at the earliest.
    """
    begun = now if slot.started is None else slot.started
    charged = _price(tariff, slot, (slot.charged_until or begun) - begun)
    return MicroCredits(max(0, _price(tariff, slot, until - begun) - charged - slot.hold))


def _price(tariff: Tariff, slot: Process, seconds: int) -> int:
    return price(tariff.rule, slot.shape, seconds * 1000, percent=tariff.percent)
