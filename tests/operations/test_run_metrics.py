"""Headline metrics of runs: stored when a run completes, and for the runs that completed before."""

import json
import math
from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from operations import artifacts
from operations.models import Artifact, MetricPoint, Operation, RunMetrics
from operations.registered_kinds import kind_of
from operations.runs import recording
from operations.runs.columns import METRICS
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db
ENDED = {"status": "COMPLETED", "completed_at": "2026-01-01T00:00Z"}
FILL = import_module("operations.migrations.0019_metrics_of_existing_runs").FILL
BACKTEST = {
    "metrics": {"total_return": 0.5, "sharpe": 1.25, "trades": 40, "dsr": None, "sharpe_basis": "daily"},
    "benchmark": {"total_return": 0.2},
}
TRAINING = {"metrics": {"validation": {"accuracy": 0.6, "loss": 0.9}, "test": {"r2": 0.1}}}
HOSTILE: list[Any] = [
    {},
    {"metrics": None},
    {"metrics": [1]},
    {"metrics": {"sharpe": "1", "trades": True, "total_return": {}, "psr": [1]}, "benchmark": 3},
    {"metrics": {"sharpe": 10**400, "validation": "x", "test": {"accuracy": "0.5"}}},
]


def fields(metrics: RunMetrics) -> dict[str, float]:
    values = {name: getattr(metrics, name) for name in METRICS}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("operation_type", "result", "expected"),
    [
        ("backtesting", BACKTEST, {"total_return": 0.5, "excess_return": 0.3, "sharpe": 1.25, "trades": 40}),
        ("training", TRAINING, {"validation_score": 0.6, "test_score": 0.1, "validation_loss": 0.9}),
        *((kind, result, {}) for kind in ("backtesting", "training") for result in HOSTILE),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_completed_run_and_an_older_one_have_the_same_metrics(
    operation_type: str, result: Any, expected: dict[str, float]
) -> None:
    operation = OperationFactory(operation_type=operation_type, result=result, **ENDED)
    recording.record(operation)
    stored = RunMetrics.objects.get()
    assert fields(stored) == pytest.approx(expected)
    stored.delete()
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute(FILL)
    assert fields(RunMetrics.objects.get()) == pytest.approx(expected)


def test_what_is_not_a_run_has_no_metrics() -> None:
    recording.record(OperationFactory(operation_type="data_import", result=BACKTEST, **ENDED))
    assert not RunMetrics.objects.exists()


def test_a_backtest_has_its_equity_as_a_few_points() -> None:
    operation = OperationFactory(operation_type="backtesting", result=BACKTEST, **ENDED)
    equity = [1000.0 + 10 * day for day in range(500)] + [None]
    stored = artifacts.put([json.dumps({"series": {"equity": equity}}).encode()])
    Artifact.objects.create(operation=operation, role="output", name="report.json", file=stored)
    recording.record(operation)
    curve = RunMetrics.objects.get().curve
    assert len(curve) == recording.MAX_POINTS
    assert (curve[0], curve[-1]) == (1.0, 5.99)


@pytest.mark.parametrize("equity", [None, "x", [], [0.0, 1.0], [None], {}], ids=str)
def test_a_strange_report_gives_no_curve(equity: Any) -> None:
    operation = OperationFactory(operation_type="backtesting", result=BACKTEST, **ENDED)
    stored = artifacts.put([json.dumps({"series": {"equity": equity}}).encode()])
    Artifact.objects.create(operation=operation, role="output", name="report.json", file=stored)
    recording.record(operation)
    assert RunMetrics.objects.get().curve == []


def test_a_training_has_its_validation_loss_as_a_few_points() -> None:
    operation = OperationFactory(operation_type="training", result=TRAINING, **ENDED)
    for step in range(100):
        MetricPoint.objects.create(
            operation=operation, attempt=1, seq=step, name="validation_loss", step=step, value=1 / (step + 1),
            time="2026-01-01T00:00Z",
        )  # fmt: skip
    recording.record(operation)
    curve = RunMetrics.objects.get().curve
    assert len(curve) == recording.MAX_POINTS
    assert curve == sorted(curve, reverse=True)


def test_a_kind_that_cannot_read_a_result_does_not_undo_the_completion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(operation: Operation) -> dict[str, float]:
        raise ZeroDivisionError

    monkeypatch.setattr(kind_of("backtesting"), "run_metrics", fail)
    recording.record(OperationFactory(operation_type="backtesting", result=BACKTEST, **ENDED))
    assert not RunMetrics.objects.exists()


@pytest.mark.parametrize("value", [None, True, "1", math.inf, math.nan, 10**400, [], {}], ids=str)
def test_only_finite_numbers_are_metrics(value: object) -> None:
    assert recording.finite(value) is None
