"""The linters see a step across a layer, and a read of clock, chance or environment in what decides."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT, packages

BIN = Path(sys.executable).parent
INSIDE = ("haidang/__init__.py", "haidang/inside/__init__.py", "haidang/inside/runs.py", "haidang/inside/warm.py")


@pytest.fixture
def empty_center(tmp_path: Path) -> Path:
    """The project's own contracts over packages with nothing in them."""
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for name in (*INSIDE, "haidang/commands.py", *(f"{package}/__init__.py" for package in packages())):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def contracts_hold(center: Path) -> bool:
    """Whether import-linter finds nothing; its own failure to look is an error, not an answer."""
    said = subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=center,
        env={"PYTHONPATH": str(center), "PATH": str(BIN)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in said.stdout, said.stdout + said.stderr
    return said.returncode == 0


@pytest.mark.parametrize(
    ("module", "imports"),
    [
        ("registry/x.py", "import quotas"),
        ("scheduler/x.py", "import operations"),
        ("store/x.py", "import api"),
        ("store/x.py", "import simulator"),
        ("simulator/x.py", "from server import clock"),
        ("operations/x.py", "from store import transactions"),
        ("scheduler/x.py", "import sqlalchemy.orm"),
        ("backends/x.py", "import distributed"),
        ("backends/x.py", "import kubernetes.client"),
        ("backends/x.py", "from haidang.inside import warm"),
        ("haidang/x.py", "import registry"),
        ("haidang/inside/x.py", "from haidang import commands"),
    ],
)
def test_a_step_across_a_layer_is_seen(empty_center: Path, module: str, imports: str) -> None:
    (empty_center / module).write_text(imports)
    assert not contracts_hold(empty_center)


def test_steps_down_and_the_shared_contract_are_left_alone(empty_center: Path) -> None:
    (empty_center / "api/x.py").write_text("import fastapi, operations, scheduler, quotas, registry")
    (empty_center / "scheduler/x.py").write_text("import json, numpy, quotas")
    (empty_center / "backends/x.py").write_text("from haidang.inside import runs")
    (empty_center / "server/commands.py").write_text("import haidang.commands, api, store, backends, exporters")
    assert contracts_hold(empty_center)


def bans(path: str, text: str) -> bool:
    """Whether the linter refuses a name in that file."""
    said = subprocess.run(
        [BIN / "ruff", "check", "--select", "TID251", "--stdin-filename", path, "-"],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode in {0, 1}, said.stderr
    return "TID251" in said.stdout


CLOCK, CHANCE, SETTING = "import time\ntime.time()", "import random", "import os\nos.environ"
DECIDES = ("registry", "quotas", "scheduler", "operations", "store", "api", "exporters", "simulator")


@pytest.mark.parametrize("package", DECIDES)
@pytest.mark.parametrize("text", [CLOCK, CHANCE, SETTING], ids=["clock", "chance", "environment"])
def test_what_decides_is_told_the_time_chance_and_its_settings(package: str, text: str) -> None:
    assert bans(f"{package}/x.py", text)


@pytest.mark.parametrize("path", ["server/clock.py", "backends/authority.py", "client/src/haidang/client.py"])
def test_the_edges_read_them_for_everybody(path: str) -> None:
    assert not bans(path, CLOCK + "\nimport secrets")
