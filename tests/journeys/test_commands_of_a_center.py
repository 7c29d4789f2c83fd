"""What an operator types wrongly is answered in one line, and makes nothing."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.centers import HAIDANG, RealCenter, haidang, until
from tests.machine import is_alive


def said(folder: Path, *arguments: str) -> str:
    """Return the one line that a command which fails says."""
    done = subprocess.run(
        [HAIDANG, *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line]
    return line


@pytest.mark.parametrize("command", ["serve", "migrate", "token", "close"])
def test_a_database_that_does_not_answer_is_one_sentence(command: str, tmp_path: Path) -> None:
    ports = ("--port", "0", "--metrics-port", "0") if command == "serve" else ()
    answer = said(tmp_path, command, *ports, "--database", "postgresql://haidang:secret@127.0.0.1:1/haidang")
    assert answer.startswith("Error: the database does not answer: ")
    assert "secret" not in answer


@pytest.mark.parametrize("command", ["serve", "migrate", "token"])
def test_what_is_no_database_is_said_by_the_option(command: str, tmp_path: Path) -> None:
    for database in ("mysql://x", "foo"):
        assert said(tmp_path, command, "--database", database).startswith("Error: --database: ")


@pytest.mark.parametrize(
    "database",
    [
        "postgresql://haidang:s3cret",
        "postgresql://haidang:s3cret@127.0.0.1:s3cret/haidang",
        "postgresql://haidang:half@s3cret@127.0.0.1/haidang",
        "postgresql://haidang:half@s3cret:x@127.0.0.1/haidang",
    ],
)
def test_nothing_of_a_mistyped_address_is_repeated(database: str, tmp_path: Path) -> None:
    answer = said(tmp_path, "migrate", "--database", database)
    assert answer.startswith("Error: --database: ")
    assert "s3cret" not in answer


@pytest.mark.parametrize("command", ["token", "close"])
def test_what_is_asked_of_a_center_that_is_not_there_makes_none(command: str, tmp_path: Path) -> None:
    assert "there is no center in sqlite:///" in said(tmp_path, command, "--data", "mistyped")
    assert not (tmp_path / "mistyped").exists()


SITE = """
kubeconfig = "kubeconfig"
[environments.default]
image = "images.example/dask:1"
version = "1"
python = "3.11"
distributed = "2026.8.0"
"""
TWICE = '[devices]\na100 = {resource = "nvidia.com/gpu"}\nl40 = {resource = "nvidia.com/gpu"}'


@pytest.mark.parametrize(
    ("site", "kubeconfig", "why"),
    [
        (None, "", "--site: Path does not point to a file: site.toml"),
        ("[environments", "", "site.toml: Expected ']'"),
        (SITE.replace("image =", "images ="), "", "site.toml: environments.default.image: Field required"),
        (SITE + TWICE, "", "site.toml: devices: a100 and l40 are both nvidia.com/gpu, so a node would offer"),
        (SITE.replace("default]", "other]"), "", "site.toml: environments: none is named default"),
        (SITE, "", "kubeconfig kubeconfig: "),
        (SITE, "users: [", "kubeconfig kubeconfig: "),
        (SITE.replace("kubeconfig =", "# "), "", "no kubeconfig is named and this is no pod: "),
    ],
)
def test_a_cluster_that_is_not_described_is_one_sentence(
    site: str | None, kubeconfig: str, why: str, tmp_path: Path
) -> None:
    haidang(tmp_path / "haidang-data", "migrate", "--found")
    if site is not None:
        (tmp_path / "site.toml").write_text(site)
    (tmp_path / "kubeconfig").write_text(kubeconfig)
    for command in (("serve", "--port", "0", "--metrics-port", "0"), ("close",)):
        assert said(tmp_path, *command, "--site", "site.toml").startswith(f"Error: {why}")


def test_a_database_of_another_center_is_left_alone(tmp_path: Path) -> None:
    haidang(tmp_path / "haidang-data", "migrate", "--found")
    for command in (("serve", "--port", "0", "--metrics-port", "0"), ("migrate", "--found"), ("close",)):
        answer = said(tmp_path, *command, "--center", "hanoi")
        assert answer == "Error: the database holds the center center, not hanoi: say --center center"


def test_a_part_without_what_it_needs_and_a_key_that_is_none_are_one_sentence(tmp_path: Path) -> None:
    assert said(tmp_path, "serve", "--part", "api").startswith("Error: api by itself needs --database postgresql://")
    (tmp_path / "short").write_text("short")
    answer = said(tmp_path, "migrate", "--found", "--sealing-key-file", "short")
    assert answer.startswith("Error: short is not the key that running clusters' credentials were sealed with")


def test_a_key_that_is_none_is_said_to_be_so(tmp_path: Path) -> None:
    center = RealCenter(tmp_path / "data")
    center.start()
    assert center.interrupt() == 0
    (tmp_path / "data" / "sealing.key").write_text("cut off")
    assert "sealing.key is not the key" in center.refuses_to_start()


def test_a_center_that_is_stopped_at_once_leaves_no_process(tmp_path: Path) -> None:
    center = RealCenter(tmp_path / "data")
    center.start()
    assert center.interrupt() == 0
    until(lambda: not [pid for pid in _pids(tmp_path) if is_alive(pid)])


def _pids(folder: Path) -> list[int]:
    """Return every process that was started with something in a folder."""
    found = []
    for entry in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
