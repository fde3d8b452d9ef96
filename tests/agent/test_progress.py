"""What an agent says of how far an operation is."""

import time
from pathlib import Path

import pytest

from worker_agent.running import RunningOperation
from worker_agent.trace import Trace


def running(begun_s_ago: float, *, is_resumed: bool = False) -> RunningOperation:
    begun = time.monotonic() - begun_s_ago
    return RunningOperation("op", "t", 1, Path(), Trace.of(), is_resumed=is_resumed, _begun=begun)


def test_the_rest_is_told_by_the_pace_so_far_and_not_before_there_is_one() -> None:
    operation = running(10)
    operation.set_progress({"percentage": 1})
    assert operation.progress.eta_seconds is None
    operation.set_progress({"percentage": 20})
    assert operation.progress.eta_seconds == pytest.approx(40, abs=1)


def test_what_an_earlier_attempt_made_is_no_part_of_the_pace() -> None:
    operation = running(10, is_resumed=True)
    operation.set_progress({"percentage": 60})
    assert operation.progress.eta_seconds is None
    time.sleep(0.2)
    operation.set_progress({"percentage": 65})
    assert operation.progress.eta_seconds == pytest.approx(0.2 * 35 / 5, abs=0.5)
