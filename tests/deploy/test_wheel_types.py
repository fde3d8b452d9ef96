"""The wheels ship their types: `mypy --strict` checks a worker against installed wheels."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.wheels import build_wheels, create_environment

TWO_OPERATIONS = """
from pathlib import Path
from typing import Any

from pydantic import BaseModel, JsonValue

from worker_agent.base import Job, OperationSpec, WorkerAPIBase
from worker_agent.protocol import InvalidInput
from workers.strategy.grammar import parse_strategy


class Lengths(BaseModel):
    unit: str = "bytes"


class Measurer(WorkerAPIBase):
    worker_type = "measurer"

    def capabilities(self) -> dict[str, JsonValue]:
        return {"units": ["bytes", "lines"]}

    def measure(self, parameters: Lengths, job: Job) -> dict[str, Any]:
        lengths: dict[str, int] = {}
        for name, path in job.inputs.items():
            if job.cancelled:
                raise InvalidInput(job.cancel_reason)
            lengths[name] = self.length(path)
            job.metric("length", step=len(lengths), value=lengths[name])
        if job.resume is not None:
            content: bytes = job.resume.files["state"]
            job.checkpoint(job.resume.step + 1, {"state": content})
        job.progress(100.0, "measured", completed=len(lengths), total=len(job.inputs))
        return {"lengths": lengths, "strategy": parse_strategy("name: a").name}

    def length(self, path: Path) -> int:
        return path.stat().st_size


Measurer.operations = (OperationSpec("measure", "/measure/start", Lengths, Measurer.measure),)
"""
WRONG = """
from worker_agent.base import Job, WorkerAPIBase


class Wrong(WorkerAPIBase):
    def run(self, parameters: object, job: Job) -> dict[str, object]:
        job.progress("half")
        return {}
"""


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """The Python of an environment with the wheels, and with the packages of this one."""
    packages = create_environment(tmp_path / "environment", build_wheels(tmp_path, "worker_agent", "."))
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return tmp_path / "environment" / "bin" / "python"


def check_types(interpreter: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    directory = files[0].parent
    return subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", directory / "cache",
            "--python-executable", interpreter, *files,
        ],
        cwd=directory,
        capture_output=True,
        text=True,
    )  # fmt: skip


@pytest.mark.timeout(300)
def test_mypy_strict_checks_workers_against_the_installed_wheels(interpreter: Path, tmp_path: Path) -> None:
    directory = tmp_path / "workers"
    directory.mkdir()
    measurer, wrong = (directory / f"{name}.py" for name in ("measurer", "wrong"))
    measurer.write_text(TWO_OPERATIONS)
    wrong.write_text(WRONG)
    accepted = check_types(interpreter, measurer)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    rejected = check_types(interpreter, wrong)
    assert rejected.returncode == 1
    assert 'incompatible type "str"; expected "float"' in rejected.stdout
