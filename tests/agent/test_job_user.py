"""With `KTRDR_JOB_USER` jobs run as another user, who reaches nothing of the agent. Needs root."""

import os
import pwd
import shutil
import site
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.agent.conftest import RunningAgent
from worker_agent.attempt.job_files import JobFiles, open_to_jobs
from worker_agent.job import linux
from worker_agent.job.user import NEEDED, JobUser, UnusableJobUser, job_user, missing_capabilities
from worker_agent.protocol import CheckpointRef, Outcome
from worker_agent.testing import FakeBackend

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join([str(ROOT), *site.getsitepackages()])
USER, AGENT = "nobody", "daemon"


def interpreter() -> str:
    """Return a Python of this version that every user may execute: this one may be in somebody's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            subprocess.run(
                [path, "-c", "import pydantic, aiohttp, psutil, worker_agent"],
                env={"PYTHONPATH": PATHS}, cwd="/", user=USER, group=pwd.getpwnam(USER).pw_gid, extra_groups=[],
                check=True, capture_output=True, timeout=60,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            continue
        return path
    pytest.skip(f"no {version} with the packages can be executed by the user {USER}")


@pytest.fixture(scope="module")
def python() -> str:
    if sys.platform != "linux" or missing_capabilities():
        pytest.skip("only root on Linux can run jobs as another user")
    return interpreter()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own is closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="ktrdr-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
async def agent(backend: FakeBackend, python: str, open_directory: Path) -> AsyncIterator[RunningAgent]:
    (open_directory / "marks").touch()
    os.chown(open_directory / "marks", pwd.getpwnam(USER).pw_uid, -1)
    running = RunningAgent(
        backend, open_directory, {"KTRDR_JOB_USER": USER, "PYTHONPATH": PATHS}, python=python
    )
    yield running
    if running.process is not None and running.process.poll() is None:
        await running.end()


async def test_a_job_has_its_own_user_and_reaches_nothing_of_the_agent(
    agent: RunningAgent, backend: FakeBackend
) -> None:
    worker = await agent.start()
    assert agent.process is not None
    inputs = (backend.keep("a.txt", b"input"), backend.keep("b.txt", b"another"))
    parameters = {"pry": [str(agent.process.pid), str(agent.directory / "data")]}
    await backend.start(worker, "op", parameters, inputs=inputs)
    report = await backend.report_of("op")
    result = report.result
    assert result is not None, (report.error, agent.log)
    nobody = pwd.getpwnam(USER)
    assert result["succeeded"] == []
    assert result["tried"] > 20
    assert result["user"] == [nobody.pw_uid, nobody.pw_uid, nobody.pw_gid, nobody.pw_gid]
    assert result["groups"] == [nobody.pw_gid]
    assert {int(text, 16) for text in result["capabilities"]} == {0}
    assert result["no_new_privileges"]
    assert result["inputs"] == {"a.txt": "input", "b.txt": "another"}
    home, owner = result["home"]
    assert owner == nobody.pw_uid
    assert not Path(home).exists(), "it is removed with the job"
    assert [ref.name for ref in report.artifacts] == ["out.txt"]


@pytest.fixture
def unit(agent: RunningAgent, open_directory: Path) -> RunningAgent:
    """An agent as a unit of systemd: a user with capabilities, a directory of the unit, and files of an earlier start."""
    state = open_directory / "state"
    for path in (state, state / "workers"):
        path.mkdir(mode=0o700)
        shutil.chown(path, AGENT, AGENT)
    state.chmod(0o711)
    agent.environment["KTRDR_DATA_DIR"] = str(state)
    capabilities = ",".join(("-all", *(f"+{name.lower()}" for name in NEEDED)))
    agent.prefix = (
        "setpriv", f"--reuid={AGENT}", f"--regid={AGENT}", "--clear-groups", "--no-new-privs",
        f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", f"--bounding-set={capabilities}",
    )  # fmt: skip
    return agent


async def test_an_agent_that_is_not_root_runs_jobs_of_another_user(
    unit: RunningAgent, backend: FakeBackend
) -> None:
    worker = await unit.start()
    await backend.start(worker, "op", {}, inputs=(backend.keep("a.txt", b"input"),))
    report = await backend.report_of("op")
    assert report.outcome is Outcome.COMPLETED, (report.error, unit.log)
    state = Path(unit.environment["KTRDR_DATA_DIR"])
    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (state, state / "workers", state / "workers/tester")
    ]
    assert modes == [0o711] * 3
    assert stat.S_IMODE((state / "workers/tester/cache").stat().st_mode) == 0o700


async def test_the_check_at_the_start_has_no_capabilities_of_the_agent(
    unit: RunningAgent, open_directory: Path
) -> None:
    (open_directory / "state").chmod(0o700)
    unit.launch()
    assert unit.process is not None
    assert unit.process.wait(60) == 1
    assert f"{USER} cannot read the code, or enter {open_directory}/state/workers/tester/jobs" in unit.log


def test_folders_that_the_agent_creates_above_its_own_are_open_too(open_directory: Path) -> None:
    jobs = open_to_jobs(open_directory / "new" / "workers" / "tester")
    for path in (jobs, *jobs.parents[:3]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o711, path


async def test_checkpoints_and_cancellation_work_across_users(
    agent: RunningAgent, backend: FakeBackend
) -> None:
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True, "grandchild": True})
    await agent.wait_until_started()
    _, pid = await agent.wait_for_mark("grandchild")
    await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel")
    report = await backend.report_of("op")
    assert report.outcome is Outcome.CANCELLED
    assert not Path("/proc", pid).exists(), "what the job left behind is ended"
    (_, checkpoint) = backend.checkpoints[-1]
    saved = CheckpointRef(attempt=1, step=checkpoint.step, files=checkpoint.files)
    await backend.start(worker, "later", {}, attempt=2, resume_from=saved)
    resumed = await backend.report_of("later")
    assert resumed.result is not None
    assert resumed.result["resumed"] == "seven"


async def test_a_deaf_job_of_another_user_is_killed(agent: RunningAgent, backend: FakeBackend) -> None:
    worker = await agent.start(KTRDR_SHUTDOWN_GRACE_S="0.1")
    await backend.start(worker, "op", {"deaf": True})
    await agent.wait_until_started()
    assert await agent.end() == 0
    assert (await backend.report_of("op")).outcome is Outcome.INTERRUPTED


def test_only_the_folders_of_attempts_can_be_entered(open_directory: Path, python: str) -> None:
    user = job_user_named(USER)
    (open_directory / "worker-token").write_text("x")
    (open_directory / "reports").mkdir(mode=0o755)
    jobs = open_to_jobs(open_directory)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (open_directory, *open_directory.iterdir())
    }
    assert modes.pop(open_directory.name) == modes.pop("jobs") == 0o711
    assert not [name for name, mode in modes.items() if mode & 0o077]
    files = JobFiles(jobs / "op.1", user)
    files.create()
    assert files.scratch.stat().st_uid == user.uid
    (files.scratch / "file-1").write_text("of the agent's user")
    with pytest.raises(ValueError, match="belongs to another user"):
        files.take(str(files.scratch / "file-1"))


def job_user_named(name: str) -> JobUser:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTRDR_JOB_USER", name)
        user = job_user()
    assert user is not None
    return user


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("root", "root or the agent's own user"),
        ("0", "root or the agent's own user"),
        ("nobody-of-this-name", "does not exist"),
        ("4294967295", "does not exist"),
        ("9" * 40, "does not exist"),
    ],
)
def test_a_user_who_gains_nothing_is_refused(python: str, name: str, reason: str) -> None:
    with pytest.raises(UnusableJobUser, match=reason):
        job_user_named(name)


def test_without_the_setting_jobs_run_as_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KTRDR_JOB_USER", raising=False)
    assert job_user() is None


def test_an_agent_without_privileges_does_not_start_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(linux, "capabilities", lambda: 1 << 7)
    with pytest.raises(UnusableJobUser, match="run it as root or with the capabilities CHOWN, DAC_OVERRIDE"):
        job_user_named(USER)


async def test_an_agent_whose_files_the_user_cannot_reach_states_so_at_its_start(
    agent: RunningAgent, open_directory: Path
) -> None:
    open_directory.chmod(0o700)
    agent.launch()
    assert agent.process is not None
    assert agent.process.wait(60) == 1
    assert f"KTRDR_JOB_USER: {USER} cannot read the code, or enter {open_directory}/data/jobs" in agent.log


COMPILED = """
from numba import njit

@njit(cache=True)
def next_of(x):
    return x + 1
"""
IN_THE_JOB = """
import os, sys
os.umask(0o077)
import compiled
from worker_agent.job.user import job_user
compiled.next_of(1)
user = job_user()
user.become(user.create_home())
print(compiled.next_of(1), compiled.next_of(1.5))
del sys.modules["compiled"]
import compiled
print(compiled.next_of(2.5))
"""


def test_a_job_compiles_functions_although_the_cache_is_the_agents(python: str, open_directory: Path) -> None:
    open_directory.chmod(0o755)
    (open_directory / "compiled.py").write_text(COMPILED)
    (open_directory / "compiled.py").chmod(0o644)
    environment = {
        "PYTHONPATH": f"{PATHS}:{open_directory}",
        "KTRDR_JOB_USER": USER,
        "NUMBA_CACHE_DIR": str(open_directory / "cache"),
        "TMPDIR": str(open_directory),
    }
    ended = subprocess.run(
        [python, "-c", IN_THE_JOB], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert ended.stdout.split() == ["2", "2.5", "3.5"], ended.stderr
