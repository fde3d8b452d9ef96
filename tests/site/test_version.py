"""The version is stated once, in worker_agent/__init__.py; what has to repeat it agrees."""

import re
import tomllib
from pathlib import Path

import yaml
from ktrdr_client.version import VERSION

from worker_agent import __version__
from workers.backtest import BacktestWorker

ROOT = Path(__file__).resolve().parents[2]


def test_the_package_and_its_workers_have_the_version_of_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "worker_agent.__version__"}
    assert BacktestWorker().version == __version__


def test_the_client_has_the_version_of_the_code() -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "ktrdr_client.version.VERSION"}
    assert __version__ == VERSION


def test_the_images_of_the_kustomization_have_the_version_of_the_code() -> None:
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    assert {image["newTag"] for image in kustomization["images"]} == {__version__}


def test_the_newest_release_of_the_changelog_is_this_version_with_a_date() -> None:
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_every_entry_of_the_changelog_is_one_short_line_under_a_heading_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    kinds = set(re.findall(r"(?m)^### (.+)$", text))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert [line for line in text.splitlines() if line.startswith("- ") and len(line) > 122] == []
