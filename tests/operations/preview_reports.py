"""A worker that reports a preview while the request for it waits."""

from collections.abc import Callable
from typing import Any

import pytest

from operations import reports, watching
from operations.models import Operation
from tests.factories import WorkerFactory
from worker_agent.protocol import Outcome, Report

STRATEGY_RESULT = {
    "valid": True, "symbol": "AAPL", "timeframe": "1d", "bars": 3000, "first": "2001-01-02", "last": "2012-12-31",
    "drawn_from": "2012-01-20", "close": [1.0, 2.0, 1.5], "indicators": [
        {"name": "fast", "values": [None, 1.4, 1.5]}, {"name": "rsi_14", "values": [None, 40.0, 60.0]},
    ],
    "fuzzy": [{"name": "strength", "members": [{"name": "weak", "values": [0.0, 0.5, 1.0]}]}],
    "dead_inputs": [{"name": "1d_strength_none", "value": 0.0}], "is_trained": False,
    "conditions": [{"name": "long", "bars": 17, "share": 0.0057}], "held": {"short": 0.0, "flat": 0.4, "long": 0.6},
    "entries": 9,
}  # fmt: skip


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
