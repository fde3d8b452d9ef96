"""The tests of shell_worker.py."""

import os
from typing import TYPE_CHECKING

import pytest
from shell_worker import ShellWorker

from worker_agent.protocol import Outcome

if TYPE_CHECKING:
    from worker_agent.testing.running import Running


def test_each_line_of_the_output_is_a_line_of_the_log(running: "Running") -> None:
    worker = running(ShellWorker)
    run = worker.run({"command": "echo one; echo two >&2; printf 'no end'"})
    assert run.logs == ["one", "two", "no end"]
    assert run.result == {"status": 0, "lines": 3}
    assert "ended with status 3" in worker.run({"command": "exit 3"}).error


@pytest.mark.parametrize("deaf", ["", "trap '' TERM; "], ids=["ends at SIGTERM", "ignores SIGTERM"])
def test_a_cancellation_ends_the_whole_group(running: "Running", deaf: str) -> None:
    command = f"{deaf}sleep 1000 & echo child $!; echo started; wait; sleep 1000"
    operation = running(ShellWorker).start({"command": command, "grace_s": 0.5})
    operation.wait_for_log("started")
    operation.cancel()
    run = operation.wait()
    assert run.outcome is Outcome.CANCELLED
    child = int(run.logs[0].removeprefix("child "))
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_a_command_leaves_in_the_background_ends_with_it(running: "Running") -> None:
    run = running(ShellWorker).run({"command": "sleep 1000 & echo $!"})
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.logs[0]), 0)
