"""Which uid of this machine a project's processes run under: given once, never to another project."""

import contextlib
import os
import stat
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
    """Uids by project, kept as one small file each: its name is the uid, its content the project."""

    def __init__(self, folder: Path, first: int = FIRST_UID) -> None:
        self._folder = folder
        self._first = first
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._uids = {
            ProjectId(file.read_text(encoding="utf-8")): int(file.name)
            for file in folder.iterdir()
            if file.name.isdigit()
        }

    def uid(self, project: ProjectId) -> int:
        """Return the project's uid, a new one if it has none."""
        with self._lock:
            if project not in self._uids:
                self._uids[project] = self._give(project)
            return self._uids[project]

    def _give(self, project: ProjectId) -> int:
        content = self._folder / f".{os.getpid()}"
        content.write_text(project, encoding="utf-8")
        start = max((self._first - 1, *self._uids.values())) + 1
        try:
            for uid in range(start, self._first + MOST_UIDS):
                # A link is made as a whole or not at all, also when another process of the center tries the same.
                with contextlib.suppress(FileExistsError):
                    (self._folder / str(uid)).hardlink_to(content)
                    return uid
        finally:
            content.unlink()
        raise RuntimeError("all uids are given")
