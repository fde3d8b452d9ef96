"""A lab for studies without processes: real services and database, and workers that answer by a formula."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from operations import artifacts, attempts, market_data, reports
from operations.actors import Actor
from operations.models import Attempt, Operation
from studies.models import Study, StudyTrial
from studies.rounds import Leader
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from tests.quant.strategy.conftest import strategy_text
from worker_agent.protocol import ArtifactRef, ErrorClass, OperationError, Outcome, Report
from workers.studies import messages
from workers.studies.grammar import parse_study

ME = Actor("test")
TYPES = ("study_batch", "study_training_batch", "study_finalist", "study_report")
STRATEGY = strategy_text(lambda data: data["decisions"].update(confidence_threshold=0.5))
STUDY = """\
study: "1.0"
name: thresholds
data: {until: 2009-12-31}
holdout: {from: 2009-01-01}
search:
  method: random
  trials: 40
  seed: 7
  parameters:
    /decisions/confidence_threshold: {range: [0.3, 0.9]}
    /backtest/stop_loss: {choices: [null, 0.05, 0.1]}
"""


def add_bars(symbol: str = "XY", rows: int = 2_500) -> None:
    stored = artifacts.put([f"bars of {symbol}".encode()])
    start, end = datetime(2000, 1, 3, tzinfo=UTC), datetime(2009, 12, 31, tzinfo=UTC)
    bars = market_data.Bars(symbol, "1d", stored.sha256, rows, start, end, {})
    market_data.replace(bars, imported_by=OperationFactory(operation_type="data_import"))


def add_model() -> Operation:
    """A completed training with a model."""
    training = OperationFactory(operation_type="training", parameters={"strategy_yaml": STRATEGY})
    for name in ("model.safetensors", "model.json"):
        stored = artifacts.put([name.encode()])
        training.artifacts.create(role="output", name=name, file_id=stored.sha256)
    Operation.objects.filter(pk=training.pk).update(status="COMPLETED", completed_at=datetime.now(UTC))
    return training


def add_workers(count: int = 2) -> None:
    for _ in range(count):
        WorkerFactory(worker_type="backtesting", announced=TYPES)


def value_of(point: dict[str, Any]) -> float:
    """The objective of a point: a pure function, best near a threshold of 0.6 without a stop."""
    threshold = float(point["/decisions/confidence_threshold"])
    return round(2.0 - 10 * abs(threshold - 0.6) - (0.5 if point["/backtest/stop_loss"] else 0.0), 6)


Evaluate = Callable[[messages.Trial], tuple[str, float | None]]


def evaluate(trial: messages.Trial) -> tuple[str, float | None]:
    return "completed", value_of(trial.point)


def result_of(parameters: dict[str, Any], evaluated: Evaluate = evaluate) -> dict[str, Any]:
    batch = messages.BatchParameters.model_validate(parameters)
    states = [evaluated(trial) for trial in batch.trials]
    stop = parse_study(batch.study_yaml).stop_early
    if stop is not None and 0 < batch.rung <= len(stop.rungs):
        states = [("stopped_early" if state == "completed" else state, value) for state, value in states]
    numbers = [trial.number for trial in batch.trials]
    return {
        "number": numbers,
        "state": [state for state, _ in states],
        "value": [value for _, value in states],
        "scores": {"trades": [float(number % 7) for number in numbers]},
        "cpu_ms": [200.0] * len(numbers),
        "errors": {str(number): "no rows" for number, (state, _) in zip(numbers, states, strict=True) if state == "failed"},
    }  # fmt: skip


REPORT = {
    "verdict": "open",
    "reasons": [{"code": "few_trades", "message": "The winner traded 3 times.", "passed": False}],
    "figures": {"sharpe": 0.5, "dsr": 0.4},
    "best": None,
    "states": {"completed": 60},
    "warnings": [],
}


def claim() -> tuple[Operation, str] | None:
    """Claim the next operation for a worker, which accepts it; return it with the attempt's secret."""
    claimed = claim_next(ME)
    if claimed is None:
        return None
    attempts.accept(claimed.operation_id, claimed.attempt, ME)
    return Operation.objects.get(pk=claimed.operation_id), claimed.request.attempt_secret


def finish(operation: Operation, secret: str, evaluated: Evaluate = evaluate) -> None:
    """Report that the operation completed."""
    names: tuple[str, ...]
    match operation.operation_type:
        case "study_report":
            names, result = ("report.json", "trials.parquet"), REPORT
        case "study_finalist":
            names = (messages.FINALIST_FILE,)
            result = {"number": operation.parameters["trial"]["number"], "holdout_sharpe": 0.5}
        case _:
            rung = [messages.RUNG_FILE] if operation.parameters["rung"] else []
            evidence = [messages.EVIDENCE_FILE] if operation.operation_type == "study_batch" else []
            names = (*messages.BATCH_FILES, *rung, *evidence)
            result = result_of(operation.parameters, evaluated)
    _send(
        operation,
        secret,
        outcome=Outcome.COMPLETED,
        result=result,
        artifacts=tuple(_file(name, f"{name} of {operation.pk}".encode()) for name in names),
    )


def fail(operation: Operation, secret: str, error_class: ErrorClass = ErrorClass.OUT_OF_MEMORY) -> None:
    error = OperationError(error_class=error_class, message="killed")
    _send(operation, secret, outcome=Outcome.FAILED, error=error)


def _send(operation: Operation, secret: str, **fields: Any) -> None:
    attempt = Attempt.objects.get(operation=operation, number=operation.attempt)
    report = Report(attempt=attempt.number, attempt_secret=secret, instance_id=attempt.instance_id, **fields)
    reports.apply(operation.pk, attempt.worker_id, report)


def _file(name: str, content: bytes) -> ArtifactRef:
    stored = artifacts.put([content])
    return ArtifactRef(name=name, sha256=stored.sha256, size=stored.size)


def work(leader: Leader, evaluated: Evaluate = evaluate, rounds: int = 200) -> None:
    """Alternate between `run_studies` and workers that complete everything, until nothing is left to do."""
    for _ in range(rounds):
        is_more = leader.tick()
        claimed = claim()
        if claimed is not None:
            finish(*claimed, evaluated)
        elif (
            not is_more and not Operation.objects.filter(status="PENDING", operation_type__in=TYPES).exists()
        ):
            return
    raise AssertionError("the studies did not come to an end")


def points_of(study: Study) -> list[dict[str, Any]]:
    return list(
        StudyTrial.objects.filter(study=study).order_by("number").values_list("parameters", flat=True)
    )


def is_close(a: float | None, b: float) -> bool:
    return a is not None and math.isclose(a, b)
