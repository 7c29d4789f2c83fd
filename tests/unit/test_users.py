"""Uids of projects: one each on the whole machine, for ever, and only where they can work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.local.backend import LocalBackend
from backends.local.users import Users, why_not_separate
from registry.ids import ProjectId

VISION, GENOMES = ProjectId("hust.vision"), ProjectId("vmu.genomes")


def test_a_project_keeps_its_uid_and_no_other_gets_it(tmp_path: Path) -> None:
    users = Users(tmp_path / "users", tmp_path, first=5000)
    assert [users.uid(VISION), users.uid(GENOMES), users.uid(VISION)] == [5000, 5001, 5000]
    again = Users(tmp_path / "users", tmp_path, first=5000)
    assert [again.uid(GENOMES), again.uid(VISION), again.uid(ProjectId("vmu.third"))] == [5001, 5000, 5002]


def test_two_centers_of_a_machine_give_no_uid_twice(tmp_path: Path) -> None:
    one, other = (Users(tmp_path / "users", tmp_path / center, first=5000) for center in ("one", "an other"))
    given = [users.uid(project) for project in (VISION, GENOMES) for users in (one, other)]
    assert given == [5000, 5001, 5002, 5003]
    assert Users(tmp_path / "users", tmp_path / "an other", first=5000).uid(VISION) == 5001


def test_a_center_that_is_gone_leaves_its_uids_to_nobody(tmp_path: Path) -> None:
    Users(tmp_path / "users", tmp_path / "gone", first=5000).uid(VISION)
    (tmp_path / "users" / "5001").touch()  # what a crash left of a uid that was just given
    assert Users(tmp_path / "users", tmp_path / "new", first=5000).uid(VISION) == 5002


def test_a_center_is_known_again_by_another_name_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "name").symlink_to(tmp_path / "folder")
    given = [Users(tmp_path / "users", tmp_path / name, first=5000).uid(VISION) for name in ("folder", "name")]
    assert given == [5000, 5000]


def test_only_the_center_writes_who_has_which_uid(tmp_path: Path) -> None:
    folder = tmp_path / "users"
    folder.mkdir(mode=0o777)
    Users(folder, tmp_path, first=5000).uid(VISION)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in folder.iterdir()] == ["5000"]


def test_uids_that_an_earlier_version_gave_are_kept_unless_others_have_them(tmp_path: Path) -> None:
    earlier = tmp_path / "local" / "users"
    earlier.mkdir(parents=True)
    for uid, project in ((5000, GENOMES), (5001, VISION)):
        (earlier / str(uid)).write_text(project)
    Users(tmp_path / "users", tmp_path / "other", first=5000).uid(VISION)  # has 5000
    for _ in range(2):
        users = Users(tmp_path / "users", tmp_path / "local", first=5000)
        users.adopt(earlier)
        assert [users.uid(VISION), users.uid(GENOMES)] == [5001, 5002]


def test_a_backend_notes_its_uids_where_it_is_told(tmp_path: Path) -> None:
    for center in ("one", "other"):
        backend = LocalBackend(
            data=tmp_path / center,
            scratch=tmp_path / "scratch",
            environments={},
            separate_uids=True,
            users=tmp_path / "users",
            first_uid=5000,
        )
        assert backend._users is not None
        assert backend._users.uid(VISION) == {"one": 5000, "other": 5001}[center]
        backend.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives processes other uids")
def test_separate_uids_need_folders_that_others_reach(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "environment").mkdir(parents=True)
    closed.chmod(0o700)
    assert why_not_separate([Path("/usr")]) is None
    assert "lets no other uid pass" in str(why_not_separate([Path("/usr"), closed / "environment"]))
