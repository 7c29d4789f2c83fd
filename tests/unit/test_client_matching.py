"""A client that cannot work with a cluster is told so, with the command that builds one that can."""

import re
import sys

import pytest
from haidang.answers import Environment
from haidang.errors import EnvironmentMismatchError
from haidang.matching import installed_distributed, installing_command, matching_command, need_match
from haidang.words import Words

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def an_environment(python: str = HERE, distributed: str | None = None) -> Environment:
    return Environment(
        id="default", version="1", python=python, distributed=distributed or installed_distributed() or ""
    )


@pytest.mark.parametrize("python", [HERE, f"{HERE}.99"])
def test_the_same_minor_and_the_same_distributed_match(python: str) -> None:
    need_match(an_environment(python), Words("en"))


@pytest.mark.parametrize("environment", [an_environment(python="3.99.1"), an_environment(distributed="1.2.3")])
def test_another_python_or_another_distributed_does_not(environment: Environment) -> None:
    with pytest.raises(EnvironmentMismatchError, match="default") as mismatch:
        need_match(environment, Words("en"))
    assert mismatch.value.command == matching_command(environment)
    assert mismatch.value.command in str(mismatch.value)


def test_the_command_pins_what_the_cluster_has() -> None:
    command = matching_command(an_environment(distributed="2026.8.0"))
    assert command == 'pip install "distributed==2026.8.0" "dask==2026.8.0"'


def test_another_python_needs_a_new_place_into_which_this_client_comes_from_where_it_came() -> None:
    begins, _, pins = matching_command(an_environment(python="3.99.2", distributed="2026.8.0")).partition("[dask]")
    assert begins == 'uv venv --python 3.99 && uv pip install "haidang'
    assert pins.startswith(" @ file://")
    assert pins.endswith('" "distributed==2026.8.0" "dask==2026.8.0"')


def test_dask_is_installed_without_an_index_that_has_this_client() -> None:
    assert re.match(r'pip install "dask>=\S+" "distributed>=\S+"', installing_command())
    assert "haidang" not in installing_command()
