"""The agent takes only files that the job wrote in its folder, whatever path the job names."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from worker_agent.attempt.job_files import ForeignFile, JobFiles
from worker_agent.attempt.outcome import final_report
from worker_agent.attempt.record import AttemptRecord
from worker_agent.job.process import Ending
from worker_agent.protocol import Outcome

SECRET = "of the agent"


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    (tmp_path / "worker-token").write_text(SECRET)
    (tmp_path / "reports").mkdir()
    files = JobFiles(tmp_path / "jobs" / "op.1")
    files.create()
    return files


@pytest.fixture
def secrets(tmp_path: Path, files: JobFiles) -> Iterator[Path]:
    """The agent's directory, whose other files must be the same after the test."""
    yield tmp_path
    assert (tmp_path / "worker-token").read_text() == SECRET
    assert (tmp_path / "reports").is_dir()


def link(target: str) -> Callable[[JobFiles], Any]:
    def name(files: JobFiles) -> str:
        os.symlink(target, files.scratch / "file-1")
        return str(files.scratch / "file-1")

    return name


def hard_link(files: JobFiles) -> str:
    os.link(files.directory.parent.parent / "worker-token", files.scratch / "file-1")
    return str(files.scratch / "file-1")


def behind_a_linked_folder(files: JobFiles) -> str:
    os.symlink(files.directory.parent.parent, files.scratch / "folder")
    return str(files.scratch / "folder" / "worker-token")


def special(kind: int) -> Callable[[JobFiles], Any]:
    def name(files: JobFiles) -> str:
        os.mknod(files.scratch / "file-1", kind | 0o600)
        return str(files.scratch / "file-1")

    return name


def folder(files: JobFiles) -> str:
    (files.scratch / "file-1").mkdir()
    return str(files.scratch / "file-1")


def listening(files: JobFiles) -> str:
    here = os.getcwd()
    os.chdir(files.scratch)  # the path of a socket has at most 108 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("file-1")
    os.chdir(here)
    return str(files.scratch / "file-1")


NAMED: dict[str, Callable[[JobFiles], Any]] = {
    "absolute": lambda files: "/etc/shadow",
    "the agent's": lambda files: str(files.directory.parent.parent / "worker-token"),
    "dots": lambda files: f"{files.scratch}/../../../worker-token",
    "dots to itself": lambda files: f"{files.scratch}/../scratch/file-1",
    "folder itself": lambda files: str(files.scratch),
    "parent": lambda files: f"{files.scratch}/..",
    "slash": lambda files: f"{files.scratch}/",
    "relative": lambda files: "file-1",
    "empty": lambda files: "",
    "missing": lambda files: str(files.scratch / "file-1"),
    "NUL": lambda files: f"{files.scratch}/file-1\0",
    "long": lambda files: f"{files.scratch}/{'x' * 5000}",
    "surrogate": lambda files: f"{files.scratch}/\udc80",
    "number": lambda files: 7,
    "list": lambda files: ["/etc/shadow"],
    "none": lambda files: None,
    "link to a file": link("/etc/shadow"),
    "link to the agent's": link("../../../worker-token"),
    "link to a folder": link("/etc"),
    "link to nothing": link("/nonexistent"),
    "link to a device": link("/dev/zero"),
    "link to itself": link("file-1"),
    "hard link": hard_link,
    "linked folder": behind_a_linked_folder,
    "folder": folder,
    "pipe": special(stat.S_IFIFO),
    "socket": listening,
    "/proc": lambda files: "/proc/self/environ",
}


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
def test_only_a_file_of_the_job_is_taken(
    files: JobFiles, secrets: Path, named: Callable[[JobFiles], Any]
) -> None:
    with pytest.raises(ForeignFile) as refused:
        files.take(named(files))
    assert str(refused.value).startswith("The job named ")
    assert SECRET not in str(refused.value)
    assert not list((files.directory / "taken").iterdir()), "nothing of it stays in the agent's folder"


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
def test_an_operation_whose_artifact_was_refused_fails_with_the_reason(
    files: JobFiles, secrets: Path, named: Callable[[JobFiles], Any]
) -> None:
    record = AttemptRecord("op", "t", 1, files)
    with pytest.raises(ForeignFile):
        record.apply({"kind": "artifact", "name": "a.txt", "path": named(files)})
    completed = {"kind": "end", "cancel_observed": False, "outcome": "completed", "result": {}}
    report = final_report(record, "i", Ending(completed, 0, False, False), None)
    assert report.outcome is Outcome.FAILED
    assert report.error is not None
    assert report.error.message == f"The result cannot be reported: {record.refused_file}"
    assert not report.artifacts


def test_a_file_of_the_job_is_moved_and_later_changes_of_its_name_have_no_effect(
    files: JobFiles, secrets: Path
) -> None:
    path = files.scratch / "file-1"
    path.write_text("the job's")
    taken = files.take(str(path))
    assert taken.read_text() == "the job's"
    os.symlink(secrets / "worker-token", path)
    assert taken.read_text() == "the job's"
    with pytest.raises(ForeignFile, match="is a symbolic link"):
        files.take(str(path))
    path.write_text("the second of this name")
    assert files.take(str(path)) != taken
    assert taken.read_text() == "the job's"


def test_the_folders_of_an_attempt_are_created_anew_without_following_links(
    files: JobFiles, secrets: Path
) -> None:
    os.symlink(secrets, files.scratch / "folder")
    (files.scratch / "file-1").write_text("of an earlier start")
    files.create()
    assert not list(files.scratch.iterdir())
