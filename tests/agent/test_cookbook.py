"""The workers of docs/cookbook.md, by their own tests: as the author of such a worker runs them, without this suite's settings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = Path(sys.prefix) / "notebooks" / "bin" / "python"
COOKBOOK = ("boosting", "shell", "simulation", "gpu", "notebook")
OTHER_ENVIRONMENT = ("notebook",)


def run_tests(python: Path | str, *workers: str) -> str:
    """Return the output of the tests of these workers. Raises AssertionError unless all have passed."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "KTRDR"))
    }
    tests = subprocess.run(
        [
            python, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider",
            "-p", "worker_agent.testing.pytest_plugin", *(f"test_{worker}_worker.py" for worker in workers),
        ],
        cwd=ROOT / "examples",
        env={**variables, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "skipped" not in tests.stdout, tests.stdout
    return tests.stdout


@pytest.mark.timeout(600)
def test_the_workers_that_need_packages_of_this_environment() -> None:
    run_tests(sys.executable, *(name for name in COOKBOOK if name not in OTHER_ENVIRONMENT))


@pytest.mark.timeout(600)
def test_the_worker_that_runs_notebooks() -> None:
    assert NOTEBOOKS.exists(), "make notebooks (part of make test) installs papermill"
    run_tests(NOTEBOOKS, *OTHER_ENVIRONMENT)


def test_the_page_links_every_worker_of_the_folder() -> None:
    page = (ROOT / "docs" / "cookbook.md").read_text()
    linked = set(re.findall(r"\(\.\./examples/(\w+\.py)\)", page))
    written = {f"{name}_worker.py" for name in COOKBOOK}
    folder = {path.name for path in (ROOT / "examples").glob("[!t]*_worker.py")} - {"echo_worker.py"}
    assert linked == written == folder
