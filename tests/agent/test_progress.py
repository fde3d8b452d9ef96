"""What an agent says of how far an operation is."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from worker_agent.attempt.record import AttemptRecord


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Its `now` is what the agent takes for the time."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("worker_agent.attempt.record.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def operation() -> AttemptRecord:
    return AttemptRecord("op", "t", 1, Path())


def test_the_rest_is_told_by_the_pace_so_far_and_not_before_there_is_one(
    clock: SimpleNamespace, operation: AttemptRecord
) -> None:
    operation.set_progress({"percentage": 0})
    clock.now = 5.0
    operation.set_progress({"percentage": 1})
    assert operation.progress.eta_seconds is None
    clock.now = 10.0
    operation.set_progress({"percentage": 20})
    assert operation.progress.eta_seconds == pytest.approx(40, abs=1)


def test_what_an_earlier_attempt_made_is_no_part_of_the_pace(
    clock: SimpleNamespace, operation: AttemptRecord
) -> None:
    """A resumed training says that it loads its bars, and then leaps to the epoch where it goes on."""
    operation.set_progress({"percentage": 1, "current_step": "loading bars"})
    clock.now = 3.0
    operation.set_progress({"percentage": 60, "steps_completed": 12, "steps_total": 20})
    assert operation.progress.eta_seconds is None
    clock.now = 3.2
    operation.set_progress({"percentage": 65, "steps_completed": 13, "steps_total": 20})
    assert operation.progress.eta_seconds == pytest.approx(0.2 * 35 / 5, abs=0.5)
