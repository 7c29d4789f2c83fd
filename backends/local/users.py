"""Which uid of this machine a project's processes run under: given once, never to another project."""

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from registry.ids import ProjectId

# Above what systemd hands out to containers and users, below what is negative in 32 bits.
FIRST_UID: Final = 1_900_000_000
MOST_UIDS: Final = 100_000_000


def why_not_separate(folders: Iterable[Path]) -> str | None:
    """Return why projects cannot have uids of their own here, None if they can.

    Beside root it takes folders, environments with their interpreters and the scratch folder, that other uids reach:
    a process that cannot read its own library fails at its first late import.
    """
    if os.geteuid() != 0:
        return "the center does not run as root"
    for folder in folders:
        for part in (real := folder.resolve(), *real.parents):
            if part.exists() and not part.stat().st_mode & stat.S_IXOTH:
                return f"{part} lets no other uid pass to {folder}"
    return None


def folders_of(environment: Path) -> tuple[Path, ...]:
    """Return what a process of a virtual environment reads: the environment itself and its interpreter's home."""
    return (environment, (environment / "bin" / "python").resolve())


class Users:
    """Uids by project, kept as one small file each: its name is the uid, its content the center and the project.

    `folder` is the whole machine's, so that no two of its centers give the same uid, whatever becomes of one of them;
    `center` is the folder that tells one from the other.
    """

    def __init__(self, folder: Path, center: Path, first: int = FIRST_UID) -> None:
        self._folder = folder
        self._center = center.resolve()
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        given = {int(file.name): _owner(file) for file in _files(folder)}
        self._uids = {project: uid for uid, (of, project) in given.items() if of == str(self._center)}
        self._fresh = range(max((first - 1, *given)) + 1, first + MOST_UIDS)

    def uid(self, project: ProjectId) -> int:
        """Return the project's uid, a new one if it has none."""
        with self._lock:
            if project not in self._uids:
                if not self._give(project, self._fresh):
                    raise RuntimeError("all uids are given")
                self._fresh = range(self._uids[project] + 1, self._fresh.stop)
            return self._uids[project]

    def adopt(self, folder: Path) -> None:
        """Take over the uids that an earlier version gave in a center's own folder, but for those that others have."""
        for file in _files(folder) if folder.exists() else ():
            _, project = _owner(file)
            if project not in self._uids:
                self._give(project, [int(file.name)])

    def _give(self, project: ProjectId, uids: Iterable[int]) -> bool:
        """Give the project the first of these uids that nobody has; False if somebody has each of them."""
        descriptor, content = tempfile.mkstemp(prefix=".", dir=self._folder)
        try:
            os.write(descriptor, os.fsencode(f"{self._center} {project}"))
            for uid in uids:
                # A link is made as a whole or not at all, also when another center tries the same.
                with contextlib.suppress(FileExistsError):
                    (self._folder / str(uid)).hardlink_to(content)
                    self._uids[project] = uid
                    return True
        finally:
            os.close(descriptor)
            Path(content).unlink()
        return False


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name.isdigit()]


def _owner(file: Path) -> tuple[str, ProjectId]:
    """Return the center and the project that have a uid; one whose file was torn by a crash is nobody's for ever."""
    center, _, project = os.fsdecode(file.read_bytes()).rpartition(" ")
    return center, ProjectId(project)
