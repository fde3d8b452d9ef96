"""A worker that reports a preview while the request for it waits."""

from collections.abc import Callable
from typing import Any

import pytest

from operations import reports, watching
from operations.models import Operation
from tests.factories import WorkerFactory
from worker_agent.protocol import Outcome, Report


def report_while_waiting(
    monkeypatch: pytest.MonkeyPatch, announced: list[str], outcome: Outcome, **fields: Any
) -> None:
    """Let a worker report the preview, of the first announced type, when the view waits for the first time."""
    worker = WorkerFactory(worker_type="backtesting", announced=announced)
    wait = watching._wait

    def report(_: float) -> None:
        operation = Operation.objects.get(operation_type=announced[0])
        reports.apply(
            operation.pk, worker.worker_id, Report(attempt=1, instance_id="any", outcome=outcome, **fields)
        )

    def wait_for_report(
        is_reached: Callable[[], bool], seconds: float, pause: watching.Pause, poll_s: float
    ) -> None:
        wait(is_reached, seconds, report, poll_s)

    monkeypatch.setattr(watching, "_wait", wait_for_report)
