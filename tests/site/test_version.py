"""The release is stated once, in worker_agent/version.py; what has to repeat it agrees."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from ktrdr_client.version import VERSION
from packaging.version import Version

from worker_agent.version import RELEASE, version, version_of_checkout
from workers.backtest import BacktestWorker

ROOT = Path(__file__).resolve().parents[2]


def test_the_package_and_its_workers_have_the_version_of_the_code() -> None:
    for path in ("pyproject.toml", "worker_agent/pyproject.toml"):
        project = tomllib.loads((ROOT / path).read_text())
        assert "version" in project["project"]["dynamic"]
        assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "worker_agent.version.version"}
    assert BacktestWorker().version == version()
    assert version().startswith(RELEASE)


def git(repository: Path, *arguments: str, at: int = 0) -> None:
    moment = f"{1_700_000_000 + at} +0000"
    identity = {
        f"GIT_{role}_{part}": "t@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
    subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *arguments],
        cwd=repository, env={**os.environ, **identity, **dates}, check=True, capture_output=True,
    )  # fmt: skip


def test_each_commit_has_a_newer_version_and_a_tagged_one_that_of_its_release(tmp_path: Path) -> None:
    assert version_of_checkout(tmp_path) == ""
    git(tmp_path, "init")
    assert version_of_checkout(tmp_path) == ""
    versions = []
    for at in (0, 1, 60, 86_400):
        (tmp_path / "file").write_text(str(at))
        git(tmp_path, "add", "file")
        git(tmp_path, "commit", "--message", "change", at=at)
        versions.append(Version(version_of_checkout(tmp_path)))
    assert sorted({Version(RELEASE), *versions}) == [Version(RELEASE), *versions]
    git(tmp_path, "tag", f"v{RELEASE}")
    assert version_of_checkout(tmp_path) == RELEASE
    (tmp_path / "file").write_text("changed")
    assert version_of_checkout(tmp_path) == f"{versions[-1]}.dirty"


def test_the_checkout_of_another_user_has_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init")
    (tmp_path / "file").write_text("text")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--message", "first")
    own = version_of_checkout(tmp_path)
    assert own.startswith(f"{RELEASE}.post")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = subprocess.run(["git", "-C", str(tmp_path), "log"], capture_output=True, text=True)
    assert "dubious ownership" in refused.stderr
    assert version_of_checkout(tmp_path) == own


def test_the_client_has_the_version_of_the_code() -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "ktrdr_client.version.VERSION"}
    assert RELEASE == VERSION


def test_the_images_of_the_kustomization_have_the_version_of_the_code() -> None:
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    assert {image["newTag"] for image in kustomization["images"]} == {RELEASE}


def test_the_newest_release_of_the_changelog_is_this_version_with_a_date() -> None:
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(RELEASE)}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_every_entry_of_the_changelog_is_one_short_line_under_a_heading_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    kinds = set(re.findall(r"(?m)^### (.+)$", text))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert [line for line in text.splitlines() if line.startswith("- ") and len(line) > 122] == []
