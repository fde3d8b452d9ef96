"""Stored files are read again, and those that rotted are marked until they are whole."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from ktrdr_site.doctor import disk
from operations import artifacts, file_checks
from operations.models import StoredFile
from operations.stores.local_disk import path_of
from registry.cleanup import cleanup

pytestmark = pytest.mark.django_db


def marked_files() -> set[str]:
    return set(StoredFile.objects.filter(damaged_at__isnull=False).values_list("pk", flat=True))


def check_all() -> int:
    return sum(file_checks.check_prefix(f"{digit:x}") for digit in range(16))


def test_missing_and_changed_files_are_found_once_and_named_by_doctor() -> None:
    whole, lost, changed = (artifacts.put([content]).pk for content in (b"whole", b"lost", b"changed"))
    assert check_all() == 0
    path_of(lost).unlink()
    path_of(changed).write_bytes(b"chanGed")
    with structlog.testing.capture_logs() as lines:
        assert check_all() == 2
        assert check_all() == 0, "they are known"
    assert {line["sha256"] for line in lines} == marked_files() == {lost, changed}
    assert whole not in marked_files()
    messages = [finding.problem for finding in disk.artifacts()]
    assert "2 stored files are missing or damaged" in messages[-1]


@pytest.mark.parametrize("way", ["put again", "written back"])
def test_a_file_that_is_whole_again_is_not_marked(way: str) -> None:
    sha256 = artifacts.put([b"content"]).pk
    path_of(sha256).unlink()
    assert check_all() == 1
    if way == "put again":
        artifacts.put([b"content"])
        assert not marked_files()
    else:
        path_of(sha256).write_bytes(b"content")
    assert check_all() == 0
    assert not marked_files()
    assert not list(disk.artifacts())


def test_a_file_that_was_put_again_meanwhile_is_not_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = artifacts.put([b"content"]).pk
    StoredFile.objects.update(touched_at=None)

    def read_before(sha256: str) -> Any:
        artifacts.put([b"content"])
        raise FileNotFoundError(sha256)

    monkeypatch.setattr(artifacts, "open_file", read_before)
    assert file_checks.check_prefix(sha256[:3]) == 0
    assert not marked_files()


def test_a_file_that_cannot_be_read_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer says nothing about the file."""
    names = [artifacts.put([str(number).encode()]).pk for number in range(3)]
    for name in names:
        path_of(name).unlink()
    opened = artifacts.open_file

    def fail(sha256: str) -> Any:
        if sha256 == names[1]:
            raise OSError("the store does not answer")
        return opened(sha256)

    monkeypatch.setattr(artifacts, "open_file", fail)
    assert check_all() == 2
    assert marked_files() == {names[0], names[2]}


def test_each_file_has_its_round_and_a_round_its_time(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    sha256 = artifacts.put([b"content"]).pk
    path_of(sha256).unlink()
    turn = int(sha256[:3], 16)
    rounds = iter([turn + 1, turn + file_checks.ROUNDS])
    clock = SimpleNamespace(time=lambda: next(rounds) * settings.CLEANUP_INTERVAL_S, monotonic=time.monotonic)
    monkeypatch.setattr(file_checks, "time", clock)
    assert [file_checks.check_some(), file_checks.check_some()] == [0, 1]
    StoredFile.objects.all().delete()  # it is marked already, so it would not count below
    for number in range(5):
        path_of(artifacts.put([str(number).encode()]).pk).unlink()
    assert file_checks.check_prefix("", lasts_s=-1) == 1, "one of a round at least"


def test_the_cleanup_reports_how_many_it_found() -> None:
    result = cleanup()
    assert result is not None
    assert result["damaged_files"] == 0
