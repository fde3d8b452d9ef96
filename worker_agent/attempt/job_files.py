"""The folders of an attempt: the job's own, and the agent's, into which it moves each file that the job reports.

    jobs/OPERATION.ATTEMPT/scratch/   the job's working directory
                           inputs/    its inputs, if the job runs as another user
                           taken/     files that the job has reported

The agent never opens a path that a job names. It accepts only names in the job's own folder, and moves the file into its
folder before it looks at it: a rename follows no link, and what was moved can no longer be exchanged by its name.
"""

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker_agent.job.repair import text_of
from worker_agent.job.user import JobUser

JOBS = "jobs"
SHOWN = 200
OWNER_ONLY = 0o700
ENTER_ONLY = 0o711
READ_ONLY = 0o444
KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISLNK, "is a symbolic link"),
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


class ForeignFile(ValueError):
    """The job has named something else than a file that it wrote in its folder."""


def open_to_jobs(data_dir: Path, home: Path | None = None) -> Path:
    """Let other users enter the folders of attempts, and nothing else of the agent's directory; return their folder.

    `home` is the folder with the directories of several agents. It is opened too, and so are the folders above that are
    created here; other folders above are not the agent's. Raises OSError.
    """
    jobs = data_dir / JOBS
    created = [path for path in jobs.parents if not path.exists()]
    jobs.mkdir(parents=True, exist_ok=True)
    for path in data_dir.iterdir():
        path.chmod(stat.S_IMODE(path.stat().st_mode) & OWNER_ONLY)
    for directory in (*created, *([home] if home else []), data_dir, jobs):
        directory.chmod(ENTER_ONLY)
    return jobs


@dataclass(slots=True)
class JobFiles:
    directory: Path
    user: JobUser | None = None
    """As which the job runs, if not as the agent's user."""
    _count: int = 0

    @property
    def scratch(self) -> Path:
        return self.directory / "scratch"

    @property
    def _taken(self) -> Path:
        return self.directory / "taken"

    def create(self) -> None:
        """Create the folders, empty. Raises OSError."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.scratch.mkdir()
        self._taken.mkdir()
        if self.user is not None:
            self.directory.chmod(ENTER_ONLY)
            self.user.own(self.scratch)

    def share(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """Return where the job finds the files of the agent's cache. Another user gets links of their own to them.

        Raises OSError.
        """
        if self.user is None or not files:
            return dict(files)
        inputs = self.directory / "inputs"
        inputs.mkdir(exist_ok=True)
        inputs.chmod(ENTER_ONLY)
        shared = {}
        for name, path in files.items():
            path.chmod(READ_ONLY)
            shared[name] = inputs / path.name
            if not shared[name].exists():
                os.link(path, shared[name])
        return shared

    def take(self, path: Any) -> Path:
        """Move a file that the job has written to its folder into the agent's. Raises ForeignFile."""
        shown = text_of(path, SHOWN)
        name = os.path.basename(path) if isinstance(path, str) else ""
        if name in ("", ".", "..") or path != str(self.scratch / name) or "\0" in name:
            raise ForeignFile(f"The job named {shown}, which is not in its folder {self.scratch}.")
        self._count += 1
        taken = self._taken / str(self._count)
        try:
            os.rename(self.scratch / name, taken)
            status = taken.lstat()
        except OSError as error:
            raise ForeignFile(
                f"The job named {shown}, which it has not written: {error.strerror}."
            ) from error
        if problem := self._problem_with(status):
            _remove(taken, status)
            raise ForeignFile(f"The job named {shown}, which {problem}.")
        return taken

    def _problem_with(self, status: os.stat_result) -> str:
        if not stat.S_ISREG(status.st_mode):
            return next((kind for is_kind, kind in KINDS if is_kind(status.st_mode)), "is not a file")
        if status.st_nlink > 1:
            return "has other names, so it may be a file of somebody else"
        if status.st_uid != (self.user.uid if self.user else os.geteuid()):
            return "belongs to another user"
        return ""


def _remove(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
