"""Run a training, from files to model: load, features, labels, split, train, evaluate, report."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.learning import checkpoint, training_report
from workers.learning.batches import Batches, Rows, outputs
from workers.learning.evaluation import PartScores, classification_scores, regression_scores
from workers.learning.model_files import FORMAT, Description, Scales, parameters_count, save_model
from workers.learning.prepared_data import Bars, PreparedData, first_day, load_bars, prepare_data
from workers.learning.splits import PARTS
from workers.learning.trainer import choose_device, start, train
from workers.learning.training_audit import audit_training
from workers.learning.training_loop import Epoch, State, TrainedNetwork
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_warnings import collect_warnings, warn_of_constant_inputs
from workers.provenance import data_hashes, provenance
from workers.report_parts import missing_parts_warnings
from workers.resumable_job import ResumableJob
from workers.strategy.grammar import StrategyError, TrainedStrategy, parse_trained_strategy
from workers.strategy.sections.model import sequence_length

Floats = NDArray[np.float64]
CHECKPOINT_EVERY_S = 10.0


class Job(ResumableJob, Protocol):
    """The part of a job that a training uses."""

    def metric(self, name: str, step: int, value: float) -> None: ...


Learn = Callable[[TrainedStrategy, TrainingParameters, PreparedData, torch.device, Job], TrainedNetwork]


def run_training(parameters: TrainingParameters, job: Job, learn: Learn | None = None) -> dict[str, Any]:
    """Return the operation's result. Raises InvalidInput. `learn` replaces the training of the network.

    Artifacts: model.safetensors, model.json, report.json.
    """
    strategy = _parse_strategy(parameters)
    device = choose_device(parameters.device)
    job.progress(1, step="loading bars")
    bars = load_bars(strategy, parameters, job.inputs)
    job.progress(2, step="features and labels")
    data = prepare_data(strategy, bars, first_day(strategy, parameters))
    job.log(data.summary())
    for _, message in warn_of_constant_inputs(strategy, data):
        job.log(message, level="warning")  # before the training, which would learn nothing from them
    job.progress(4, step="audit of the data")
    audit = audit_training(strategy, bars, data)
    trained = (learn or _train)(strategy, parameters, data, device, job)
    if trained.stopped == "cancelled":
        return {"stopped": "cancelled", "epochs": trained.epochs}

    job.progress(92, step="evaluation")
    scores = {name: _score(strategy, data, trained, data.parts[name]) for name in PARTS}
    origin = provenance(
        strategy_sha256=strategy.sha256,
        data=data_hashes(job.inputs),
        seed=parameters.seed,
        device=str(device),
    )
    description = _description(strategy, parameters, data, trained, origin)
    files = save_model(trained.network, description)
    for name, content in files.items():
        job.artifact(name, content)
    job.progress(95, step="report")
    warnings = collect_warnings(strategy, bars, data, trained, scores, description.parameters_count)
    warnings += _store_report(strategy, bars, data, trained, scores, job)
    model_sha256 = hashlib.sha256(files["model.safetensors"]).hexdigest()
    result = _compose_result(strategy, data, trained, scores, description, model_sha256)
    job.progress(100, step="done")
    return result | {"audit": audit, "warnings": warnings}


def _compose_result(
    strategy: TrainedStrategy,
    data: PreparedData,
    trained: TrainedNetwork,
    scores: dict[str, PartScores],
    description: Description,
    model_sha256: str,
) -> dict[str, Any]:
    """Return the operation's result without audit and warnings."""
    result: dict[str, Any] = {
        "model": {
            "sha256": model_sha256,
            "architecture": description.architecture,
            "parameters_count": description.parameters_count,
            "input_names": list(description.input_names),
        },
        "best_epoch": trained.best_epoch,
        "epochs": trained.epochs,
        "stopped": trained.stopped,
        "metrics": {name: scores[name].metrics for name in PARTS},
        "rows": {name: len(getattr(data.split, name)) for name in PARTS},
        "trained_from": description.trained_from,
        "trained_until": description.trained_until,
        "left_out": {"purged": data.split.purged, **data.dataset.left_out},
        "device": description.provenance["device"],
        "seconds": trained.seconds,
        "samples_per_second": trained.samples_per_second,
        "provenance": description.provenance | {"model_sha256": model_sha256},
    }
    if strategy.is_classification:
        result["label_balance"] = training_report.label_balance(data.dataset, data.split)
    return result


def _parse_strategy(parameters: TrainingParameters) -> TrainedStrategy:
    try:
        strategy = parse_trained_strategy(parameters.strategy_yaml)
    except StrategyError as error:
        raise InvalidInput(str(error)) from error
    if parameters.timeframes and set(parameters.timeframes) != set(strategy.timeframes):
        raise InvalidInput(
            f"`timeframes` is {', '.join(parameters.timeframes)}, but the strategy's timeframes are "
            f"{', '.join(strategy.timeframes)}; omit it or set it to the strategy's own."
        )
    return strategy


def _train(
    strategy: TrainedStrategy,
    parameters: TrainingParameters,
    data: PreparedData,
    device: torch.device,
    job: Job,
) -> TrainedNetwork:
    """Train from the beginning, or from the checkpoint of the job."""
    epochs = strategy.training.epochs
    identity = _identity(strategy, parameters, job)
    last_checkpoint = time.monotonic()

    def restore(state: State) -> None:
        if job.resume is not None:
            files = job.resume.files
            checkpoint.restore(state, files[checkpoint.TENSORS], files[checkpoint.SCALARS], identity)
            job.log(f"resumed after epoch {state.epoch - 1}")

    def on_epoch(state: State, epoch: Epoch) -> bool:
        nonlocal last_checkpoint
        _report_metrics(job, epoch, "accuracy" if strategy.is_classification else "mae")
        job.progress(5 + 85 * epoch.epoch / epochs, f"epoch {epoch.epoch} of {epochs}", epoch.epoch, epochs)
        cancelled = job.cancelled
        if cancelled or time.monotonic() - last_checkpoint > CHECKPOINT_EVERY_S:
            job.checkpoint(epoch.epoch, checkpoint.pack(state, identity))
            last_checkpoint = time.monotonic()
        return not cancelled

    loop = start(
        strategy.model,
        strategy.training,
        data.x,
        data.parts,
        seed=parameters.seed,
        device=device,
        label_scale=data.label_scale,
        restore=restore,
        on_epoch=on_epoch,
    )
    return train(loop)


def _report_metrics(job: Job, epoch: Epoch, score: str) -> None:
    job.metric("train_loss", epoch.epoch, epoch.train_loss)
    job.metric("validation_loss", epoch.epoch, epoch.validation_loss)
    job.metric(f"train_{score}", epoch.epoch, epoch.train_score)
    job.metric(f"validation_{score}", epoch.epoch, epoch.validation_score)
    job.metric("learning_rate", epoch.epoch, epoch.learning_rate)


def _identity(strategy: TrainedStrategy, parameters: TrainingParameters, job: Job) -> str:
    """Identify the training for its checkpoints: the same request on the same data, with the inputs in the same order."""
    read = [data_hashes(job.inputs), strategy.input_names]
    text = parameters.model_dump_json() + json.dumps(read, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _score(strategy: TrainedStrategy, data: PreparedData, trained: TrainedNetwork, part: Rows) -> PartScores:
    """Score the best epoch's weights on one part."""
    device = next(trained.network.parameters()).device
    batches = Batches(torch.from_numpy(data.x).to(device), sequence_length(strategy.model))
    out = outputs(trained.network, batches, torch.from_numpy(part.row).to(device)).cpu().double()
    if strategy.is_classification:
        probability = torch.softmax(out, dim=1).numpy()
        actual = part.y.astype(np.int64)
        return PartScores(classification_scores(probability, actual), probability, actual.astype(np.float64))
    forecast, actual_return = (
        values.astype(np.float64) * data.label_scale + data.label_mean
        for values in (out.squeeze(1).numpy(), part.y)
    )
    return PartScores(regression_scores(forecast, actual_return), forecast, actual_return)


def _store_report(
    strategy: TrainedStrategy,
    bars: Bars,
    data: PreparedData,
    trained: TrainedNetwork,
    scores: dict[str, PartScores],
    job: Job,
) -> list[dict[str, str]]:
    """Store the report, and return a warning for each part that cannot be built."""
    try:
        report, errors = training_report.build_report(strategy, bars, data, trained, scores)
        job.artifact("report.json", json.dumps(report, allow_nan=False).encode())
    except Exception as error:
        job.log(f"Could not build the report: {type(error).__name__}: {error}", level="error")
        message = f"Could not build the report ({error}); the model is not affected."
        return [{"code": "no_report", "message": message}]
    for name, reason in errors.items():
        job.log(f"Could not build {name} of the report: {type(reason).__name__}: {reason}", level="error")
    return missing_parts_warnings(errors, "the model is")


def _description(
    strategy: TrainedStrategy,
    parameters: TrainingParameters,
    data: PreparedData,
    trained: TrainedNetwork,
    origin: dict[str, Any],
) -> Description:
    used_rows = np.concatenate((data.split.train, data.split.validation))
    return Description(
        format=FORMAT,
        strategy_name=strategy.name,
        strategy_text=strategy.text,
        strategy_sha256=strategy.sha256,
        kind=strategy.model.type,
        architecture=strategy.model.model_dump(mode="json"),
        parameters_count=parameters_count(trained.network),
        input_names=strategy.input_names,
        classification=strategy.is_classification,
        scaler=Scales(shift=tuple(data.scaler.shift.tolist()), scale=tuple(data.scaler.scale.tolist())),
        label_mean=data.label_mean,
        label_scale=data.label_scale,
        symbols=data.dataset.symbols,
        timeframes=strategy.timeframes,
        trained_from=pd.Timestamp(int(data.dataset.time[used_rows].min()), tz="UTC").isoformat(),
        trained_until=pd.Timestamp(int(data.dataset.end[used_rows].max()), tz="UTC").isoformat(),
        seed=parameters.seed,
        best_epoch=trained.best_epoch,
        provenance=origin,
    )
