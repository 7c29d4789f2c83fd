"""Published workload logs, which lie outside the repository: their headers ask for thanks and give no license."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.house import ROOT

NO_SUCH_LOG: Final = "no published log"
FOLDER: Final = Path(os.environ.get("HAIDANG_TRACES") or ROOT.parent / "shared" / "traces")


def trace(name: str) -> Path:
    """Return where a log lies; a test that needs one which is not there is skipped, and says so."""
    if not (FOLDER / name).is_file():
        pytest.skip(f"{NO_SUCH_LOG} {name} in {FOLDER}; HAIDANG_TRACES names the folder of published logs")
    return FOLDER / name
