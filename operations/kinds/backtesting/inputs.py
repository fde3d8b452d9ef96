"""The inputs of a backtest that are complete only when it starts: the model, and how many trials this data has seen."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from access.problems import Invalid, invalid
from operations import market_data, strategies
from operations.kinds.backtesting import trials
from operations.kinds.backtesting.request import BacktestRequest
from operations.models import Artifact, Operation
from operations.states import Status

TRAINING = "training"
MODEL_FILES = ("model.safetensors", "model.json")


def completed_trainings() -> QuerySet[Operation]:
    return Operation.objects.filter(operation_type=TRAINING, status=Status.COMPLETED)


def is_completed_training(operation: Operation) -> bool:
    return operation.operation_type == TRAINING and operation.status == Status.COMPLETED


def seen_period(training: Operation) -> tuple[datetime, datetime] | None:
    """Return the first and last bar that the model depends on; None for results of workers that do not report them."""
    result = training.result or {}
    try:
        first, last = (datetime.fromisoformat(result[name]) for name in ("trained_from", "trained_until"))
    except (KeyError, TypeError, ValueError):
        return None
    return first, last


def fields_of_model(training: Operation) -> dict[str, str]:
    """Return the fields of the form that test a model: its first symbol, from the first day that it has not seen."""
    symbols = training.parameters.get("symbols") or []
    fields = {"model": training.pk, **({"symbol": str(symbols[0])} if symbols else {})}
    try:
        needs = strategies.read(str(training.parameters.get("strategy_yaml", "")), "/model")
    except Invalid:
        return fields
    fields |= {"timeframe": needs.base, "allow_short": "true" if needs.allow_short else "false"}
    if period := seen_period(training):
        fields["start_date"] = (period[1] + timedelta(days=1)).date().isoformat()
    return fields


def training_of(request: BacktestRequest) -> Operation:
    """The training whose model is tested. One that has not ended must be in `after`; its model is linked at the start.

    Raises Invalid.
    """
    training = Operation.objects.filter(pk=request.model, operation_type=TRAINING).first()
    if training is None:
        raise invalid("/model", f"Training {request.model} does not exist.")
    if training.status == Status.COMPLETED:
        files = training.artifacts.filter(role=Artifact.Role.OUTPUT, name__in=MODEL_FILES).count()
        if files < len(MODEL_FILES):
            raise invalid("/model", f"The training {training.pk} stored no model.")
    elif training.is_final:
        raise invalid("/model", f"The training {training.pk} is {training.status}: it has no model.")
    elif training.pk not in request.after:
        raise invalid(
            "/model",
            f"The training {training.pk} is {training.status}; add it to `after` to wait for its model.",
        )
    return training


def reference_of(symbol: str | None, timeframe: str) -> dict[str, str]:
    """Return input name -> SHA-256 of the bars that the returns are compared with. Raises Invalid if they do not exist."""
    if symbol is None:
        return {}
    stored = market_data.find([symbol]).get(symbol, {})
    if timeframe not in stored:
        raise invalid("/reference", market_data.explain_missing(symbol, timeframe, stored))
    return {f"reference/{symbol}.parquet": stored[timeframe].file_id}


def prepare(operation: Operation) -> None:
    """Called with the operation's row locked, in the transaction that claims its worker."""
    if model := operation.parameters.get("model"):
        link_model(operation, model)
    settings = {name: value for name, value in operation.parameters.items() if name not in trials.GIVEN}
    operation.parameters = {**settings, **_trials(operation)}
    Operation.objects.filter(pk=operation.pk).update(parameters=operation.parameters)


def _trials(operation: Operation) -> dict[str, Any]:
    """Count the operation as a trial; return the parameters about the trials on its data that the workers know."""
    trainings = trials.training_trials(operation)
    count = trials.count_trials(operation) + trainings
    added: dict[str, Any] = {"trials": count}
    if trainings and trials.workers_read("training_trials"):
        added["training_trials"] = trainings
    if (
        count > 1
        and trials.workers_read("trial_sharpes")
        and (sharpes := trials.sharpes_of_others(operation))
    ):
        added["trial_sharpes"] = sharpes
    return added


def link_model(operation: Operation, training_id: str) -> None:
    """Make the model's files inputs `model/...`; calling it again is harmless."""
    files = Artifact.objects.filter(
        operation=training_id,
        operation__status=Status.COMPLETED,
        role=Artifact.Role.OUTPUT,
        name__in=MODEL_FILES,
    )
    Artifact.objects.bulk_create(
        [
            Artifact(
                operation=operation, role=Artifact.Role.INPUT, name=f"model/{file.name}", file_id=file.file_id
            )
            for file in files
        ],
        ignore_conflicts=True,
    )
