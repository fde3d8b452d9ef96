"""What an agent keeps to itself: the enrolment token and its files."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.conftest import TOKEN, RunningAgent
from worker_agent.program import take_secret
from worker_agent.testing import FakeBackend

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@LINUX
@pytest.mark.parametrize("in_file", [False, True], ids=["variable", "file"])
async def test_no_process_of_a_job_finds_the_enrolment_token_in_an_environment(
    agent: RunningAgent, backend: FakeBackend, tmp_path: Path, in_file: bool
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    variables = {"KTRDR_WORKER_TOKEN_FILE": str(tmp_path / "token")} if in_file else {}
    worker = await agent.start(**variables)
    await backend.start(worker, "op", {"look_for": TOKEN})
    result = (await backend.report_of("op")).result
    assert result is not None
    assert result["found"] == []
    assert not [name for name in result["names"] if "TOKEN" in name]


@LINUX
def test_a_secret_is_taken_out_of_the_environment_and_of_proc() -> None:
    code = (
        "from worker_agent.program import take_secret; from pathlib import Path; import os;"
        "assert take_secret('A') == 'sécret'; assert take_secret('B') == ''; assert 'A' not in os.environ;"
        "print(Path('/proc/self/environ').read_bytes().count('sécret'.encode()), os.environ['C'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "A": "sécret", "C": "kept"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "0 kept\n"


def test_a_secret_that_was_set_later_is_taken_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTRDR_OF_THIS_TEST", "x" * 100)
    assert take_secret("KTRDR_OF_THIS_TEST") == "x" * 100
    assert "KTRDR_OF_THIS_TEST" not in os.environ
    assert take_secret("KTRDR_OF_THIS_TEST") == ""


@LINUX
async def test_other_processes_of_the_user_may_not_inspect_an_agent(agent: RunningAgent) -> None:
    await agent.start()
    assert agent.process is not None
    # Linux gives the files of such a process to root, and refuses them to all others of its user.
    assert Path(f"/proc/{agent.process.pid}/environ").stat().st_uid == 0
    code = (
        "from worker_agent.program import forbid_inspection; import ctypes;"
        "forbid_inspection(); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "0\n"


async def test_files_of_an_agent_and_its_jobs_are_private_whatever_the_mask_of_the_shell(
    agent: RunningAgent, backend: FakeBackend
) -> None:
    before = os.umask(0)
    try:
        worker = await agent.start()
    finally:
        os.umask(before)
    await backend.start(worker, "op", {"artifact": "x"}, inputs=(backend.keep("a.txt", b"a"),))
    await backend.report_of("op")
    created = [agent.directory / "data", agent.directory / "marks", *(agent.directory / "data").rglob("*")]
    assert len(created) > 4
    assert [str(path) for path in created if mode_of(path) & 0o077] == []


def mode_of(path: Path) -> int:
    """Return the permission bits; 0 for a file that is gone, such as a delivered report."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0
