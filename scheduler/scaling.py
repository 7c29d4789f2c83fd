"""How fast work goes on more or fewer workers, and how much of its time a cluster has been spared by them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from registry.axes import Floats, Ints
from registry.ids import Seconds
from scheduler.policy import Policy
from scheduler.requests import Request

WHOLE_FRACTION: Final = 1000
"""Fractions that can be shared are whole thousandths."""


def speedup(workers: int, parallel_fraction: float) -> float:
    """Return how many times faster so many workers are than one: S(n) = 1 / ((1 - f) + f / n).

    Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities" (AFIPS 1967).
    """
    assert workers >= 0, workers
    assert 0 <= parallel_fraction <= 1, parallel_fraction
    return 1 / ((1 - parallel_fraction) + parallel_fraction / workers) if workers else 0.0


def gains(workers: Ints, least: Ints, fraction: Floats) -> Floats:
    """Return how many seconds more are done each second than with the smallest number of workers; one row each."""
    slow, fast = ((1 - fraction) + fraction / np.maximum(one, 1) for one in (least, np.maximum(workers, least)))
    return np.asarray(slow / fast - 1)


def parallel_fraction(request: Request, policy: Policy) -> float:
    """Return what part of a request's work several workers can share, as far as anybody knows."""
    said = request.parallel_fraction
    return (policy.parallel_fraction if said is None else said) / WHOLE_FRACTION


def spared_milliseconds(request: Request, workers: int, policy: Policy, now: Seconds) -> int:
    """Return how much of its walltime a running request has been spared, if it has had so many workers until now."""
    since = request.placed if request.spared_since is None else request.spared_since
    assert since is not None, request
    fraction, least = parallel_fraction(request, policy), max(request.workers_min, 1)
    gain = speedup(max(workers, least), fraction) / speedup(least, fraction) - 1
    return request.spared_milliseconds + round(1000 * max(0, now - since) * gain)


def resized(request: Request, spared: int, now: Seconds) -> Request:
    """Return a running request whose number of workers changes now."""
    return replace(request, spared_milliseconds=spared, spared_since=now)
