"""The fork server that an agent starts itself: found where the agent's program finds it, and missed at once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.agent.fork_servers import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs are spawned")

PROGRAM = """
import json, os, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from pydantic import BaseModel
from worker_agent.job.forking import client
from worker_agent.job.job import Assignment
from worker_agent.job.launching import Work


class NoParameters(BaseModel):
    pass


def work(worker, parameters, job):
    return {"directory": os.getcwd(), "path": os.environ.get("PYTHONPATH", "")}


def launch(server):
    server.ensure_running()
    assignment = Assignment("op-1", 1, {}, Path.cwd(), {}, None)
    return server.launch(Work(work, object, NoParameters), assignment)


if __name__ == "__main__":
    server, error = client.OwnServer("a-worker", Path.cwd(), (), ""), ""
    if len(sys.argv) > 2:
        working, client.START_SERVER = client.START_SERVER, sys.argv[2]
        try:
            launch(server)
        except OSError as problem:
            error = str(problem)
        client.START_SERVER = working
    job, pipe = launch(server)
    while (message := json.loads(pipe.recv_bytes()))["kind"] != "end":
        pass
    print(json.dumps({"error": error, "status": job.wait(60).code, **message}))
"""
"""A worker's program outside the repository, which adds its folder to the import path."""


def launch(directory: Path, *broken_server: str) -> dict[str, Any]:
    """Return the end of a job of the program, and the error of one before it whose server was broken."""
    program = directory / "program.py"
    program.write_text(PROGRAM)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, str(program), str(ROOT), *broken_server],
        cwd=directory, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    end: dict[str, Any] = json.loads(ended.stdout)
    return end


def test_the_server_finds_what_the_program_of_the_worker_finds(tmp_path: Path) -> None:
    """Jobs, and the programs that they start, inherit no variable for that."""
    end = launch(tmp_path)
    assert (end["outcome"], end["status"]) == ("completed", 0), end
    assert end["result"] == {"directory": str(tmp_path), "path": ""}


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("raise SystemExit(3)", "3"),
        ("import a_module_that_does_not_exist", "1"),
        ("import os; os.abort()", "-6"),
    ],
    ids=["ends", "cannot be imported", "crashes"],
)
def test_a_server_that_cannot_start_is_named_at_once_and_started_again_for_the_next_job(
    tmp_path: Path, fault: str, status: str
) -> None:
    end = launch(tmp_path, fault)
    assert end["error"] == f"the fork server ended with status {status}; the worker's log has the reason"
    assert end["outcome"] == "completed"
