"""Faults of files and disks are found under their name with a remedy."""

import os
from typing import Any

import pytest

from ktrdr_site.doctor import disk, secret_files
from ktrdr_site.doctor.finding import Severity
from tests.factories import StoredFileFactory
from tests.site.doctor.findings import only

database_needed = pytest.mark.django_db


@pytest.mark.parametrize("name", secret_files.NAMES)
def test_a_secret_that_others_can_read_is_found(settings: Any, name: str) -> None:
    settings.BASE_DIR = settings.DATA_DIR
    path = settings.DATA_DIR / name
    path.write_text("secret")
    path.chmod(0o640)
    finding = only(secret_files.modes())
    assert "mode 0640" in finding.problem
    assert f"chmod 600 {path}" in finding.remedy
    path.chmod(0o600)
    assert list(secret_files.modes()) == []


@pytest.mark.parametrize(
    ("mode", "able"),
    [(0o777, "replace its files"), (0o770, "replace its files"), (0o755, "enter it"), (0o710, "enter it")],
)
def test_a_data_directory_that_others_may_use_is_found(settings: Any, mode: int, able: str) -> None:
    settings.BASE_DIR = settings.DATA_DIR
    settings.DATA_DIR.chmod(mode)
    finding = only(secret_files.modes())
    assert able in finding.problem
    assert f"chmod 700 {settings.DATA_DIR}" in finding.remedy


def test_a_token_that_can_be_guessed_and_a_network_that_is_trusted_are_found(settings: Any) -> None:
    settings.WORKER_TOKEN = "short"
    assert "can be guessed" in only(secret_files.enrolment()).problem
    settings.TRUST_NETWORK = True
    assert "KTRDR_TRUST_NETWORK is on" in only(secret_files.enrolment(), Severity.WARNING).problem


def test_a_disk_without_files_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOW_FREE", 0)
    monkeypatch.setattr(disk, "MIN_FREE", 0)
    real = os.statvfs("/")
    full = os.statvfs_result((*real[:5], 1000, 7, 7, *real[8:10]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert "only 7 more files" in only(disk.free_space()).problem


@database_needed
def test_stored_files_that_are_not_on_disk_are_found() -> None:
    missing = StoredFileFactory()
    finding = only(disk.artifacts())
    assert missing.sha256[:12] in finding.problem
    assert "Restore" in finding.remedy
