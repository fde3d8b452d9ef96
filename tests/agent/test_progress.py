"""The agent's estimate of the remaining time."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from worker_agent.attempt.job_files import JobFiles
from worker_agent.attempt.record import AttemptRecord


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Set `now` to change the agent's time."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("worker_agent.attempt.record.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def operation() -> AttemptRecord:
    return AttemptRecord("op", "t", 1, JobFiles(Path()))


def test_the_remaining_time_is_estimated_from_the_pace_once_there_is_one(
    clock: SimpleNamespace, operation: AttemptRecord
) -> None:
    operation.set_progress({"percentage": 0})
    clock.now = 5.0
    operation.set_progress({"percentage": 1})
    assert operation.progress.eta_seconds is None
    clock.now = 10.0
    operation.set_progress({"percentage": 20})
    assert operation.progress.eta_seconds == pytest.approx(40, abs=1)


def test_the_pace_excludes_the_progress_of_earlier_attempts(
    clock: SimpleNamespace, operation: AttemptRecord
) -> None:
    """A resumed training first reports that it loads bars, then starts at the epoch of its checkpoint."""
    operation.set_progress({"percentage": 1, "current_step": "loading bars"})
    clock.now = 3.0
    operation.set_progress({"percentage": 60, "steps_completed": 12, "steps_total": 20})
    assert operation.progress.eta_seconds is None
    clock.now = 3.2
    operation.set_progress({"percentage": 65, "steps_completed": 13, "steps_total": 20})
    assert operation.progress.eta_seconds == pytest.approx(0.2 * 35 / 5, abs=0.5)
