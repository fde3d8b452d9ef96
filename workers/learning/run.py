"""One training, from files to model: load, features, labels, split, train, evaluate, report."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.learning import checkpoint, report
from workers.learning.dataset import Dataset, build_dataset
from workers.learning.evaluation import Scored, classification_scores, regression_scores
from workers.learning.model_files import FORMAT, Description, parameters_count, save_model
from workers.learning.networks import sequence_length
from workers.learning.parameters import TrainingParameters
from workers.learning.scaling import Scaler, fit_scaler
from workers.learning.splits import PARTS, Split
from workers.learning.trainer import Batches, Epoch, Rows, State, Trained, choose_device, outputs, train
from workers.market_data.bars import read_bars
from workers.provenance import data_hashes, provenance
from workers.strategy.audit import audit_features
from workers.strategy.grammar import Strategy, StrategyError, parse_strategy
from workers.strategy.indicators.compute import compute_checked

Floats = NDArray[np.float64]
CHECKPOINT_EVERY_S = 10.0
AUDIT_SHARE = 0.1
LEAST_AUDIT_S = 0.2


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


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that the network is trained on."""

    dataset: Dataset
    split: Split
    scaler: Scaler
    x: NDArray[np.float32]
    parts: dict[str, Rows]
    label_mean: float
    label_scale: float


def run_training(parameters: TrainingParameters, job: Job) -> dict[str, Any]:
    """The operation's result; artifacts model.safetensors, model.json, report.json. Raises InvalidInput."""
    begun = time.monotonic()
    strategy = _strategy(parameters)
    job.progress(1, step="loading bars")
    bars = load_bars(strategy, parameters, job.inputs)
    job.progress(3, step="features and labels")
    material = prepare(strategy, bars)
    audits = _audit(strategy, bars, time.monotonic() - begun)
    job.log(_described(material))

    device = choose_device(parameters.device)
    trained = _train(strategy, parameters, material, device, job)
    if trained.stopped == "cancelled":
        return {"stopped": "cancelled", "epochs": trained.epochs}
    if trained.stopped == "diverged":
        job.log("The loss became no number; the best epoch before is kept.", level="warning")

    job.progress(92, step="evaluation")
    scored = evaluate(strategy, material, trained)
    importance = _importance(strategy, material, trained)
    origin = provenance(
        strategy_sha256=strategy.sha256,
        data=data_hashes(job.inputs),
        seed=parameters.seed,
        device=str(device),
    )
    description = _description(strategy, parameters, material, trained, origin)
    files = save_model(trained.network, description)
    job.progress(97, step="report")
    drawn = report.build(
        strategy, material.dataset, material.split, trained, scored, importance,
        _indicator_values(strategy, bars), material.scaler,
    )  # fmt: skip
    for name, content in files.items():
        job.artifact(name, content)
    job.artifact("report.json", json.dumps(drawn, allow_nan=False).encode())
    return {
        "model": {
            "sha256": hashlib.sha256(files["model.safetensors"]).hexdigest(),
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
        "audit": audits,
        "provenance": origin,
    }


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


def load_bars(
    strategy: Strategy, parameters: TrainingParameters, inputs: Mapping[str, Path]
) -> dict[str, dict[str, pd.DataFrame]]:
    """symbol -> timeframe -> bars inside the dates asked for. Raises InvalidInput."""
    own = strategy.training_data
    start = parameters.start_date or own.start
    end = parameters.end_date or own.end
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for symbol in parameters.symbols or strategy.symbols:
        frames = {}
        for timeframe in strategy.timeframes:
            path = inputs.get(f"bars/{symbol}/{timeframe}.parquet")
            if path is not None:
                frames[timeframe] = _between(read_bars(path), start, end)
        if strategy.base_timeframe not in frames:
            raise InvalidInput(f"There are no {strategy.base_timeframe} bars of {symbol}.")
        if len(frames[strategy.base_timeframe]) == 0:
            raise InvalidInput(
                f"There are no bars of {symbol} between {start or 'the beginning'} and {end or 'the end'}."
            )
        found[symbol] = frames
    return found


def _between(bars: pd.DataFrame, start: Any, end: Any) -> pd.DataFrame:
    if start is not None:
        bars = bars[bars.index >= pd.Timestamp(start, tz="UTC")]
    if end is not None:
        bars = bars[bars.index < pd.Timestamp(end, tz="UTC") + pd.Timedelta(days=1)]
    return bars


def prepare(strategy: Strategy, bars: Mapping[str, Mapping[str, pd.DataFrame]]) -> Material:
    dataset = build_dataset(strategy, bars)
    split = dataset.split(strategy)
    scaler = fit_scaler(strategy, dataset.features[dataset.row[split.train]])
    mean, scale = _label_scale(strategy, dataset.label[split.train])
    parts = {}
    for name in PARTS:
        chosen = getattr(split, name)
        label = dataset.label[chosen]
        y = (
            (label + 1).astype(np.int64)
            if strategy.is_classification
            else ((label - mean) / scale).astype(np.float32)
        )
        parts[name] = Rows(dataset.row[chosen], y, dataset.weight[chosen].astype(np.float32))
    if strategy.is_classification and len(np.unique(parts["train"].y)) < 2:
        raise InvalidInput(
            "Every row of the training part has the same label: there is nothing to tell apart."
        )
    return Material(dataset, split, scaler, scaler.apply(dataset.features), parts, mean, scale)


def _label_scale(strategy: Strategy, label: Floats) -> tuple[float, float]:
    """A forecast is learned in standard deviations of the training part's label."""
    if strategy.is_classification:
        return 0.0, 1.0
    scale = float(label.std())
    if scale <= 0:
        raise InvalidInput(
            "Every row of the training part has the same return: there is nothing to forecast."
        )
    return float(label.mean()), scale


def _audit(
    strategy: Strategy, bars: Mapping[str, Mapping[str, pd.DataFrame]], so_far_s: float
) -> dict[str, Any]:
    """Of the first symbol: every symbol goes through the same function. Raises LookAheadError."""
    symbol, frames = next(iter(bars.items()))
    budget = max(LEAST_AUDIT_S, AUDIT_SHARE * so_far_s)
    return {
        "look_ahead": {"passed": True, "symbol": symbol, **audit_features(strategy, frames, budget).as_data()}
    }


def _described(material: Material) -> str:
    counts = ", ".join(f"{len(getattr(material.split, name)):,} {name}" for name in PARTS)
    return f"rows: {counts}; {material.split.purged:,} purged; {material.x.shape[1]} inputs"


def _train(
    strategy: Strategy, parameters: TrainingParameters, material: Material, device: torch.device, job: Job
) -> Trained:
    epochs = strategy.training.epochs
    score = "accuracy" if strategy.is_classification else "mae"
    identity = _identity(parameters, job)
    kept = time.monotonic()

    def begin(state: State) -> None:
        if job.resume is not None:
            files = job.resume.files
            checkpoint.restore(state, files[checkpoint.TENSORS], files[checkpoint.SCALARS], identity)
            job.log(f"resumed after epoch {state.epoch - 1}")

    def on_epoch(state: State, epoch: Epoch) -> bool:
        nonlocal kept
        job.metric("train_loss", epoch.epoch, epoch.train_loss)
        job.metric("validation_loss", epoch.epoch, epoch.validation_loss)
        job.metric(f"train_{score}", epoch.epoch, epoch.train_score)
        job.metric(f"validation_{score}", epoch.epoch, epoch.validation_score)
        job.metric("learning_rate", epoch.epoch, epoch.learning_rate)
        job.progress(5 + 85 * epoch.epoch / epochs, f"epoch {epoch.epoch} of {epochs}", epoch.epoch, epochs)
        cancelled = job.cancelled
        if cancelled or time.monotonic() - kept > CHECKPOINT_EVERY_S:
            kept = time.monotonic()
            job.checkpoint(epoch.epoch, checkpoint.pack(state, identity))
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


def _identity(parameters: TrainingParameters, job: Job) -> str:
    """What a checkpoint belongs to: the same request on the same data."""
    text = parameters.model_dump_json() + json.dumps(data_hashes(job.inputs), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def evaluate(strategy: Strategy, material: Material, trained: Trained) -> dict[str, Scored]:
    return {name: _score(strategy, material, trained, material.x, material.parts[name]) for name in PARTS}


def _score(
    strategy: Strategy, material: Material, trained: Trained, x: NDArray[np.float32], part: Rows
) -> Scored:
    device = next(trained.network.parameters()).device
    data = Batches(torch.from_numpy(x).to(device), sequence_length(strategy.model))
    out = outputs(trained.network, data, torch.from_numpy(part.row).to(device)).double().cpu()
    if strategy.is_classification:
        probability = torch.softmax(out, dim=1).numpy() if len(part.row) else np.zeros((0, 3))
        truth = part.y.astype(np.int64)
        return Scored(classification_scores(probability, truth), probability, truth.astype(np.float64))
    forecast = out.squeeze(1).numpy() * material.label_scale + material.label_mean
    truth_return = part.y.astype(np.float64) * material.label_scale + material.label_mean
    return Scored(regression_scores(forecast, truth_return), forecast, truth_return)


def _importance(strategy: Strategy, material: Material, trained: Trained) -> dict[str, float]:
    """On the validation part: loss of accuracy, or of r2."""
    part = material.parts["validation"]
    some = np.random.default_rng(report.IMPORTANCE_SEED).permutation(len(part.row))[: report.IMPORTANCE_ROWS]
    sample = Rows(part.row[some], part.y[some], part.weight[some])
    key = "accuracy" if strategy.is_classification else "r2"

    def score(features: Floats) -> float:
        value = _score(strategy, material, trained, material.scaler.apply(features), sample).metrics[key]
        return float(value) if value is not None else 0.0

    return report.permutation_importance(
        score, material.dataset.features.copy(), strategy.input_names, sample.row
    )


def _indicator_values(
    strategy: Strategy, bars: Mapping[str, Mapping[str, pd.DataFrame]]
) -> dict[str, Floats]:
    """Fuzzy set -> its indicator's values on the base timeframe, over all symbols, for the histogram."""
    found = {}
    for name, fuzzy_set in strategy.fuzzy_sets.items():
        indicator, output = strategy.resolve(fuzzy_set.indicator)
        spec = strategy.indicators[indicator]
        values = [
            compute_checked(spec.type, frames[strategy.base_timeframe], spec.parameters)[output]
            for frames in bars.values()
        ]
        joined = np.concatenate(values)
        found[name] = joined[np.isfinite(joined)]
    return found


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
        scaler=material.scaler.as_data(),
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
