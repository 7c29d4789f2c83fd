"""Uids of projects: one each, for ever, and only where they can work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.local.users import Users, why_not_separate
from registry.ids import ProjectId

VISION, GENOMES = ProjectId("hust.vision"), ProjectId("vmu.genomes")


def test_a_project_keeps_its_uid_and_no_other_gets_it(tmp_path: Path) -> None:
    users = Users(tmp_path, first=5000)
    assert [users.uid(VISION), users.uid(GENOMES), users.uid(VISION)] == [5000, 5001, 5000]
    again = Users(tmp_path, first=5000)
    assert [again.uid(GENOMES), again.uid(VISION), again.uid(ProjectId("vmu.third"))] == [5001, 5000, 5002]


def test_two_centers_on_one_folder_give_no_uid_twice(tmp_path: Path) -> None:
    one, other = Users(tmp_path, first=5000), Users(tmp_path, first=5000)
    assert one.uid(VISION) != other.uid(GENOMES)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives processes other uids")
def test_separate_uids_need_folders_that_others_reach(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "environment").mkdir(parents=True)
    closed.chmod(0o700)
    assert why_not_separate([Path("/usr")]) is None
    assert "lets no other uid pass" in str(why_not_separate([Path("/usr"), closed / "environment"]))
