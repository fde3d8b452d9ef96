"""Metric points and log lines: complete, once, in order, and cut only where it says so."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from operations import interruptions, reports, telemetry
from operations.actors import Actor
from operations.models import Attempt, LogLine, MetricPoint, Operation
from tests.claiming import claim_next, start_next
from tests.factories import OperationFactory, WorkerFactory
from worker_agent import protocol
from worker_agent.protocol import Outcome, Report

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
TIME = "2026-01-01T00:00Z"


def running() -> tuple[Operation, Attempt]:
    operation = OperationFactory()
    WorkerFactory()
    start_next(ME)
    operation.refresh_from_db()
    return operation, operation.attempts.get()


def points(*numbers: int) -> list[protocol.MetricPoint]:
    return [
        protocol.MetricPoint(seq=number, name="loss", step=number, value=1.0, time=TIME) for number in numbers
    ]


def lines(*numbers: int) -> list[protocol.LogLine]:
    return [protocol.LogLine(seq=number, level="info", message=str(number), time=TIME) for number in numbers]


def messages(operation: Operation) -> list[str]:
    return list(operation.log_lines.order_by("pk").values_list("message", flat=True))


@pytest.mark.parametrize(
    "batches",
    [[[1, 2], [1, 2]], [[1, 2], [1, 2, 3]], [[1, 2, 3], [2, 3]], [[1], [], [2, 3]]],
    ids=["twice", "overlapping", "late", "empty"],
)
def test_a_batch_sent_again_adds_only_what_is_new(batches: Sequence[Sequence[int]]) -> None:
    operation, attempt = running()
    for batch in batches:
        telemetry.append(operation, Attempt.objects.get(pk=attempt.pk), points(*batch), lines(*batch))
    seen = sorted({number for batch in batches for number in batch})
    assert list(operation.metric_points.values_list("seq", flat=True)) == seen
    assert messages(operation) == [str(number) for number in seen]


def test_the_final_report_brings_everything_although_nobody_asked_meanwhile() -> None:
    operation, attempt = running()
    report = Report(
        attempt=1,
        instance_id="any",
        outcome=Outcome.COMPLETED,
        result={},
        metrics=points(*range(1, 3001)),
        logs=lines(*range(1, 2501)),
    )
    reports.apply(operation.pk, attempt.worker_id, report)
    assert operation.metric_points.count() == 3000
    assert messages(operation) == [str(number) for number in range(1, 2501)]


def test_two_attempts_keep_their_own_numbers(settings: Any) -> None:
    settings.RETRY_BACKOFF_S = 0
    operation, attempt = running()
    telemetry.append(operation, attempt, points(1, 2), lines(1, 2))
    interruptions.mark_lost(operation.pk, 1, ME, "gone")
    Attempt.objects.update(ended_at="2020-01-01T00:00Z")  # a worker that lost one is asked again later
    claim_next(ME)
    operation.refresh_from_db()
    second = operation.attempts.get(number=2)
    telemetry.append(operation, second, points(1, 2), ())
    assert list(operation.metric_points.values_list("attempt", "seq")) == [(1, 1), (1, 2), (2, 1), (2, 2)]


@pytest.mark.parametrize("sizes", [[7], [5, 5], [3, 2, 1], [4, 1, 1], [1] * 7], ids=str)
def test_a_log_that_is_too_long_ends_with_a_line_that_says_so(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "OPERATION_LOG_LINES", 5)
    operation, attempt = running()
    first = 1
    for size in sizes:
        telemetry.append(operation, attempt, (), lines(*range(first, first + size)))
        first += size
    kept = messages(operation)
    assert kept[:4] == ["1", "2", "3", "4"]
    assert kept[4:] == ["The log is cut here: 5 lines are kept per operation."]
    assert LogLine.objects.last().level == "warning"


@pytest.mark.parametrize("sizes", [[7], [5, 5], [1] * 7], ids=str)
def test_metrics_that_are_too_many_are_cut_with_one_event(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "OPERATION_METRIC_POINTS", 5)
    operation, attempt = running()
    first = 1
    for size in sizes:
        telemetry.append(operation, attempt, points(*range(first, first + size)), ())
        first += size
    assert MetricPoint.objects.count() == 5
    (event,) = operation.events.filter(kind="metrics_cut")
    assert "5 metric points are kept per operation; loss is cut at step 6" in event.reason


def test_a_log_line_with_a_nul_character_is_rejected_by_the_protocol() -> None:
    with pytest.raises(ValidationError, match="cannot be stored"):
        protocol.LogLine(seq=1, level="info", message="a\x00b", time=TIME)
