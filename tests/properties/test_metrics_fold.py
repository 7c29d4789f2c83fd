"""Sums that are continued equal sums from the beginning, however transactions overlap, commit or come to nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from exporters.collector import Collector
from operations.follower import Follower
from operations.ports.office import EntrySum, Office, WaitCount
from operations.ports.store import Facts, Store, StoreUnavailableError
from quotas.ledger import EntryKind, Usage
from registry.ids import Mark, Seconds
from registry.people import Scope
from scheduler.policy import DEFAULT_POLICY
from tests.builders import NOW
from tests.scrapes import POOLS, Series, a_wait_count, an_entry_sum, series_of, text_of
