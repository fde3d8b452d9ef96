"""One training, from files to model: load, features, labels, split, train, evaluate, report."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.learning import checkpoint, report, trust
from workers.learning.batches import Batches, Rows, outputs
from workers.learning.evaluation import Scored, classification_scores, regression_scores
from workers.learning.material import Bars, Material, first_day, load_bars, prepare
from workers.learning.model_files import FORMAT, Description, Scales, parameters_count, save_model
from workers.learning.networks import sequence_length
from workers.learning.parameters import TrainingParameters
from workers.learning.splits import PARTS
from workers.learning.trainer import Epoch, State, Trained, choose_device, train
from workers.provenance import data_hashes, provenance
from workers.strategy.grammar import Strategy, StrategyError, parse_strategy
from workers.strategy.lookahead import audit_features

Floats = NDArray[np.float64]
CHECKPOINT_EVERY_S = 10.0
AUDIT_SHARE = 0.1
LEAST_AUDIT_S = 0.5


class Resume(Protocol):
    @property
    def files(self) -> Mapping[str, bytes]: ...


class Job(Protocol):
    """What a training needs of the job it runs in."""

    @property
    def inputs(self) -> Mapping[str, Path]: ...
    @property
    def resume(self) -> Resume | None: ...
    @property
    def cancelled(self) -> bool: ...
    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None: ...
    def metric(self, name: str, step: int, value: float) -> None: ...
    def log(self, line: str, level: str = "info") -> None: ...
    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None: ...
    def artifact(self, name: str, content: bytes) -> None: ...


def run_training(parameters: TrainingParameters, job: Job) -> dict[str, Any]:
    """The operation's result; artifacts model.safetensors, model.json, report.json. Raises InvalidInput."""
    begun = time.monotonic()
    strategy = _strategy(parameters)
    device = choose_device(parameters.device)
    job.progress(1, step="loading bars")
    bars = load_bars(strategy, parameters, job.inputs)
    job.progress(2, step="features and labels")
    material = prepare(strategy, bars, first_day(strategy, parameters))
    job.log(material.described())
    job.progress(4, step="audit of the features")
    audited = _audit(strategy, bars, time.monotonic() - begun)
    trained = _train(strategy, parameters, material, device, job)
    if trained.stopped == "cancelled":
        return {"stopped": "cancelled", "epochs": trained.epochs}

    job.progress(92, step="evaluation")
    scored = {name: _score(strategy, material, trained, material.parts[name]) for name in PARTS}
    origin = provenance(
        strategy_sha256=strategy.sha256,
        data=data_hashes(job.inputs),
        seed=parameters.seed,
        device=str(device),
    )
    description = _description(strategy, parameters, material, trained, origin)
    files = save_model(trained.network, description)
    for name, content in files.items():
        job.artifact(name, content)
    job.progress(95, step="report")
    warnings = trust.warnings(strategy, bars, material, trained, scored, description.parameters_count)
    warnings += _report(strategy, bars, material, trained, scored, job)
    model_sha256 = hashlib.sha256(files["model.safetensors"]).hexdigest()
    answer: dict[str, Any] = {
        "model": {
            "sha256": model_sha256,
            "architecture": strategy.model.model_dump(mode="json"),
            "parameters_count": description.parameters_count,
            "input_names": list(strategy.input_names),
        },
        "best_epoch": trained.best_epoch,
        "epochs": trained.epochs,
        "stopped": trained.stopped,
        "metrics": {name: scored[name].metrics for name in PARTS},
        "rows": {name: len(getattr(material.split, name)) for name in PARTS},
        "left_out": {"purged": material.split.purged, **material.dataset.left_out},
        "device": str(device),
        "seconds": trained.seconds,
        "samples_per_second": trained.samples_per_second,
        "audit": audited,
        "warnings": warnings,
        "provenance": origin | {"model_sha256": model_sha256},
    }
    if strategy.is_classification:
        answer["label_balance"] = report.label_balance(material.dataset, material.split)
    job.progress(100, step="done")
    return answer


def _strategy(parameters: TrainingParameters) -> Strategy:
    try:
        strategy = parse_strategy(parameters.strategy_yaml)
    except StrategyError as error:
        raise InvalidInput(str(error)) from error
    if parameters.timeframes and set(parameters.timeframes) != set(strategy.timeframes):
        raise InvalidInput(
            f"The strategy's timeframes are {', '.join(strategy.timeframes)}, not {', '.join(parameters.timeframes)}."
        )
    return strategy


def _audit(strategy: Strategy, bars: Bars, so_far_s: float) -> dict[str, Any]:
    """Of the first symbol: every symbol goes through the same function. Raises LookAheadError."""
    symbol, frames = next(iter(bars.items()))
    budget = max(LEAST_AUDIT_S, AUDIT_SHARE * so_far_s)
    found = audit_features(strategy, frames, budget)
    return {"look_ahead": {"passed": True, "symbol": symbol, **found.as_data()}}


def _train(
    strategy: Strategy, parameters: TrainingParameters, material: Material, device: torch.device, job: Job
) -> Trained:
    """From the beginning, or from the checkpoint that the job brings."""
    epochs = strategy.training.epochs
    identity = _identity(parameters, job)
    kept = time.monotonic()

    def begin(state: State) -> None:
        if job.resume is not None:
            files = job.resume.files
            checkpoint.restore(state, files[checkpoint.TENSORS], files[checkpoint.SCALARS], identity)
            job.log(f"resumed after epoch {state.epoch - 1}")

    def on_epoch(state: State, epoch: Epoch) -> bool:
        nonlocal kept
        _tell(job, epoch, "accuracy" if strategy.is_classification else "mae")
        job.progress(5 + 85 * epoch.epoch / epochs, f"epoch {epoch.epoch} of {epochs}", epoch.epoch, epochs)
        cancelled = job.cancelled
        if cancelled or time.monotonic() - kept > CHECKPOINT_EVERY_S:
            job.checkpoint(epoch.epoch, checkpoint.pack(state, identity))
            kept = time.monotonic()
        return not cancelled

    return train(
        strategy.model,
        strategy.training,
        material.x,
        material.parts,
        seed=parameters.seed,
        device=device,
        label_scale=material.label_scale,
        begin=begin,
        on_epoch=on_epoch,
    )


def _tell(job: Job, epoch: Epoch, score: str) -> None:
    job.metric("train_loss", epoch.epoch, epoch.train_loss)
    job.metric("validation_loss", epoch.epoch, epoch.validation_loss)
    job.metric(f"train_{score}", epoch.epoch, epoch.train_score)
    job.metric(f"validation_{score}", epoch.epoch, epoch.validation_score)
    job.metric("learning_rate", epoch.epoch, epoch.learning_rate)


def _identity(parameters: TrainingParameters, job: Job) -> str:
    """What a checkpoint belongs to: the same request on the same data."""
    text = parameters.model_dump_json() + json.dumps(data_hashes(job.inputs), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _score(strategy: Strategy, material: Material, trained: Trained, part: Rows) -> Scored:
    """Of the best epoch's weights."""
    device = next(trained.network.parameters()).device
    data = Batches(torch.from_numpy(material.x).to(device), sequence_length(strategy.model))
    out = outputs(trained.network, data, torch.from_numpy(part.row).to(device)).cpu().double()
    if strategy.is_classification:
        probability = torch.softmax(out, dim=1).numpy()
        truth = part.y.astype(np.int64)
        return Scored(classification_scores(probability, truth), probability, truth.astype(np.float64))
    forecast, truth_return = (
        values.astype(np.float64) * material.label_scale + material.label_mean
        for values in (out.squeeze(1).numpy(), part.y)
    )
    return Scored(regression_scores(forecast, truth_return), forecast, truth_return)


def _report(
    strategy: Strategy,
    bars: Bars,
    material: Material,
    trained: Trained,
    scored: dict[str, Scored],
    job: Job,
) -> list[dict[str, str]]:
    """Stores the report; one that cannot be drawn costs no model, but a warning."""
    try:
        drawn = report.build(strategy, bars, material, trained, scored)
        job.artifact("report.json", json.dumps(drawn, allow_nan=False).encode())
    except Exception as error:
        job.log(f"The report could not be drawn: {type(error).__name__}: {error}", level="error")
        return [
            {"code": "no_report", "message": f"The report could not be drawn ({error}); the model stands."}
        ]
    return []


def _description(
    strategy: Strategy,
    parameters: TrainingParameters,
    material: Material,
    trained: Trained,
    origin: dict[str, Any],
) -> Description:
    seen = np.concatenate((material.split.train, material.split.validation))
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
        scaler=Scales(
            shift=tuple(material.scaler.shift.tolist()), scale=tuple(material.scaler.scale.tolist())
        ),
        label_mean=material.label_mean,
        label_scale=material.label_scale,
        symbols=material.dataset.symbols,
        timeframes=strategy.timeframes,
        trained_from=pd.Timestamp(int(material.dataset.time[seen].min()), tz="UTC").isoformat(),
        trained_until=pd.Timestamp(int(material.dataset.end[seen].max()), tz="UTC").isoformat(),
        seed=parameters.seed,
        best_epoch=trained.best_epoch,
        provenance=origin,
    )
