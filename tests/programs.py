"""Programs that tests ask for and that only some machines have."""

import shutil
from pathlib import Path

import pytest


def promtool() -> Path:
    """Return Prometheus' own check of metrics, or skip the test."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not there: make promtool")
    return Path(found).resolve()


def prometheus() -> Path:
    """Return the Prometheus server, which comes in the same package, or skip the test."""
    found = promtool().with_name("prometheus")
    if not found.exists():
        pytest.skip("prometheus does not lie beside promtool")
    return found
