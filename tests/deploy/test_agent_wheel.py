"""The agent is a distribution of its own: few packages, with types and the fixture for tests of workers."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.test_wheel_types import check_types
from tests.deploy.wheels import (
    build_wheels,
    create_environment,
    installed_files,
    link_packages,
    packages_needed_by,
)
from tests.stack.system import ROOT

MAX_BYTES = 60 * 1000**2
VERSION = "0.2.0.post20261129173242+gec3e711"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the agent's wheel, the packages that it requires, and pytest."""
    directory = tmp_path_factory.mktemp("agent")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTRDR_VERSION", VERSION)
        wheels = build_wheels(directory, "worker_agent")
    packages = create_environment(directory / "environment", wheels)
    (requirements,) = packages.glob("ktrdr_worker_agent-*.dist-info/METADATA")
    link_packages(packages_needed_by(*required(requirements), "pytest"), packages)
    return directory / "environment"


def required(requirements: Path) -> list[str]:
    lines = requirements.read_text().splitlines()
    return [
        line.removeprefix("Requires-Dist: ")
        for line in lines
        if line.startswith("Requires-Dist") and "extra ==" not in line
    ]


def test_the_wheel_contains_every_module_of_the_agent_and_the_mark_of_its_types(environment: Path) -> None:
    (installed,) = environment.glob("lib/python*/site-packages/worker_agent")
    files, tree = (
        {str(path.relative_to(root)) for path in root.rglob("*") if path.suffix == ".py" or path.name == "py.typed"}
        for root in (installed, ROOT / "worker_agent")
    )  # fmt: skip
    assert files == {path for path in tree if not path.startswith("build/")}


def test_the_agent_and_its_packages_stay_below_sixty_megabytes(environment: Path) -> None:
    (requirements,) = environment.glob("lib/python*/site-packages/ktrdr_worker_agent-*.dist-info/METADATA")
    names = packages_needed_by(*required(requirements))
    assert {"aiohttp", "psutil", "pydantic"} <= names
    assert names.isdisjoint({"numpy", "pandas", "torch", "django"})
    library = Path(sysconfig.get_path("purelib"))
    size = sum((library / file).stat().st_size for name in names for file in installed_files(name))
    own = sum(path.stat().st_size for path in (ROOT / "worker_agent").rglob("*.py"))
    assert size + own < MAX_BYTES


@pytest.mark.timeout(300)
def test_the_documented_tests_of_the_example_pass_and_its_types_are_strict(
    environment: Path, tmp_path: Path
) -> None:
    for name in ("echo_worker.py", "test_echo_worker.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    python = environment / "bin" / "python"
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "KTRDR"))
    }
    tests = subprocess.run(
        [python, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_echo_worker.py"],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "3 passed" in tests.stdout
    types = check_types(python, tmp_path / "echo_worker.py", tmp_path / "test_echo_worker.py")
    assert types.returncode == 0, types.stdout + types.stderr


def test_the_installed_agent_reports_the_version_of_its_wheel(environment: Path) -> None:
    python = environment / "bin" / "python"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("KTRDR")}
    printed = subprocess.run(
        [python, "-m", "worker_agent.version"], env=variables, cwd=environment, capture_output=True, text=True
    )
    assert printed.stdout.strip() == VERSION
