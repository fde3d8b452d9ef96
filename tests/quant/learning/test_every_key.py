"""Each key of the grammar has an effect or is rejected. The keys are read from the schema itself."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests.quant.learning.conftest import STRATEGY, synthetic
from workers.backtesting.decisions import target_directions
from workers.learning.dataset import build_dataset
from workers.learning.labels import make_labels
from workers.learning.prepared_data import first_day, load_bars, prepare_data
from workers.learning.trainer import start, train
from workers.learning.training_parameters import TrainingParameters
from workers.market_data.bars import write_bars
from workers.market_data.resampling import resample
from workers.strategy.features import build_features
from workers.strategy.grammar import StrategyError, TrainedStrategy, parse_strategy

Changes = dict[str, Any]
"""Dotted path in the file -> value."""


@cache
def frames() -> dict[str, pd.DataFrame]:
    daily = synthetic(5, n=500, persistence=0.2)
    weekly, _ = resample(daily, "1d", "1w", "weekdays")
    return {"1d": daily, "1w": weekly}


def bars(strategy: TrainedStrategy, directory: Path) -> object:
    """The bars that are read, and those that become rows."""
    inputs = {}
    for symbol in ("AAA", "BBB"):
        for timeframe, frame in frames().items():
            path = directory / f"{symbol}-{timeframe}.parquet"
            write_bars(frame, path)
            inputs[f"bars/{symbol}/{timeframe}.parquet"] = path
    parameters = TrainingParameters(strategy_yaml=strategy.text)
    loaded = load_bars(strategy, parameters, inputs)
    periods = {
        symbol: {timeframe: list(frame.index[[0, -1]]) for timeframe, frame in frames.items()}
        for symbol, frames in loaded.items()
    }
    return periods, build_dataset(strategy, loaded, first_day(strategy, parameters)).time.tolist()


def features(strategy: TrainedStrategy, _: Path) -> object:
    table = build_features(strategy, frames())
    return list(table.columns), table.index.to_list(), table.to_numpy().tobytes()


def labels(strategy: TrainedStrategy, _: Path) -> object:
    spec = strategy.training.labels
    result = make_labels(frames()["1d"], spec, "1d", classification=strategy.is_classification)
    return result.value.tobytes(), result.end.tobytes(), result.weight.tobytes()


def split(strategy: TrainedStrategy, _: Path) -> object:
    parts = prepare_data(strategy, {"AAA": frames()}).split
    return [part.tolist() for part in (parts.train, parts.validation, parts.test)]


def scaled_inputs(strategy: TrainedStrategy, _: Path) -> object:
    return prepare_data(strategy, {"AAA": frames()}).x.tobytes()


def training(strategy: TrainedStrategy, _: Path) -> object:
    """The history of all epochs, which also depends on the network's shape."""
    return _train(strategy.text)


@cache
def _train(text: str) -> object:
    strategy = parse_strategy(text)
    data = prepare_data(strategy, {"AAA": frames()})
    loop = start(
        strategy.model,
        strategy.training,
        data.x,
        data.parts,
        seed=1,
        device=torch.device("cpu"),
        label_scale=data.label_scale,
    )
    trained = train(loop)
    return trained.history, trained.stopped


def decisions(strategy: TrainedStrategy, _: Path) -> object:
    random = np.random.default_rng(4)
    predictions = (
        random.dirichlet((1.0, 1.0, 1.0), 300) if strategy.is_classification else random.normal(0, 0.01, 300)
    )
    return target_directions(strategy.decisions, predictions).tolist()


def caption(strategy: TrainedStrategy, _: Path) -> object:
    return strategy.name, strategy.description


@dataclass(frozen=True)
class Case:
    key: str
    """Section of the schema and its key."""
    effect: Callable[[TrainedStrategy, Path], object]
    after: Changes
    before: Changes = field(default_factory=dict)


REGRESSION: Changes = {
    "decisions": {"output_format": "regression"},
    "training.labels": {"source": "forward_return", "horizon": 3},
}
LSTM: Changes = {"model": {"type": "lstm", "architecture": {"hidden_size": 6, "sequence_length": 4}}}
GRU: Changes = {"model": {"type": "gru", "architecture": {"hidden_size": 6, "sequence_length": 4}}}
TSK: Changes = {"model": {"type": "tsk", "architecture": {"rules": 4}}}
TWO_TIMEFRAMES: Changes = {
    "training_data.timeframes": {"mode": "multi_timeframe", "list": ["1d", "1w"], "base_timeframe": "1d"}
}
SECOND_SET: Changes = {"fuzzy_sets.speed": {"indicator": "mom_5", "down": [-9, -3, 1], "up": [-1, 3, 9]}}
RESTLESS: Changes = {"training.learning_rate": 0.3, "training.epochs": 12}
"""With these the validation loss soon rises."""


def label_source(source: str, **keys: Any) -> Changes:
    return {"training.labels": {"source": source, **keys}}


def schedule(kind: str, **keys: Any) -> Changes:
    return {"training.lr_scheduler": {"type": kind, **keys}}


CASES = [
    Case("TrainedStrategy.name", caption, {"name": "other"}),
    Case("TrainedStrategy.description", caption, {"description": "its purpose"}),
    Case("SeveralSymbols.mode", bars, {"training_data.symbols": {"mode": "single", "symbol": "AAA"}}),
    Case("SeveralSymbols.list", bars, {"training_data.symbols.list": ["BBB"]}),
    Case("SingleSymbol.mode", bars, {"training_data.symbols": {"mode": "multi_symbol", "list": ["AAA", "BBB"]}}, {"training_data.symbols": {"mode": "single", "symbol": "AAA"}}),
    Case("SingleSymbol.symbol", bars, {"training_data.symbols.symbol": "BBB"}, {"training_data.symbols": {"mode": "single", "symbol": "AAA"}}),
    Case("SingleTimeframe.mode", features, TWO_TIMEFRAMES),
    Case("SingleTimeframe.timeframe", features, {"training_data.timeframes.timeframe": "1w"}),
    Case("SeveralTimeframes.mode", features, {"training_data.timeframes": {"mode": "single", "timeframe": "1d"}}, TWO_TIMEFRAMES),
    Case("SeveralTimeframes.list", features, {"training_data.timeframes.list": ["1d"]}, TWO_TIMEFRAMES),
    Case("SeveralTimeframes.base_timeframe", features, {"training_data.timeframes.base_timeframe": "1w"}, TWO_TIMEFRAMES),
    Case("TrainingData.history_required", features, {"training_data.history_required": 60}),
    Case("TrainingData.start_date", bars, {"training_data.start_date": "2015-06-01"}),
    Case("TrainingData.end_date", bars, {"training_data.end_date": "2016-06-01"}),
    Case("DateRange.start", bars, {"training_data.date_range.start": "2015-06-01"}),
    Case("DateRange.end", bars, {"training_data.date_range.end": "2016-06-01"}),
    Case("Indicator.type", features, {"indicators.rsi_7.type": "roc"}),
    Case("Indicator.parameters", features, {"indicators.rsi_7.period": 9}),
    Case("FuzzySet.indicator", features, {"fuzzy_sets.momentum.indicator": "mom_5"}),
    Case("Membership.type", features, {"fuzzy_sets.momentum.low": {"type": "gaussian", "parameters": [30, 12]}}),
    Case("Membership.parameters", features, {"fuzzy_sets.momentum.low": [0, 0, 20, 50]}),
    Case("NNInput.fuzzy_set", features, {"nn_inputs.0.fuzzy_set": "speed"}, SECOND_SET),
    Case("NNInput.raw_indicator", features, {"nn_inputs.1.raw_indicator": "rsi_7"}),
    Case("NNInput.timeframes", features, {"nn_inputs.0.timeframes": ["1d"]}, TWO_TIMEFRAMES),
    Case("NNInput.normalization", scaled_inputs, {"nn_inputs.1.normalization": "minmax"}),
    Case("InputFeatures.lookback_periods", features, {"model.features.lookback_periods": 2}),
    Case("InputFeatures.scale_features", scaled_inputs, {"model.features.scale_features": True}),
    Case("InputFeatures.scale_features", scaled_inputs, {"model.features.scale_features": True}, LSTM),
    Case("MLPModel.type", training, TSK),
    Case("TSKModel.type", training, {"model": {"type": "mlp"}}, TSK),
    Case("LSTMModel.type", training, {"model.type": "gru"}, LSTM),
    Case("GRUModel.type", training, {"model.type": "lstm"}, GRU),
    Case("MLPArchitecture.dropout", training, {"model.architecture.dropout": 0.4}),
    Case("MLPArchitecture.hidden_layers", training, {"model.architecture.hidden_layers": [16, 8]}),
    Case("MLPArchitecture.activation", training, {"model.architecture.activation": "tanh"}),
    Case("RecurrentArchitecture.dropout", training, {"model.architecture.dropout": 0.4}, LSTM | {"model.architecture.num_layers": 2}),
    Case("RecurrentArchitecture.sequence_length", training, {"model.architecture.sequence_length": 8}, GRU),
    Case("RecurrentArchitecture.hidden_size", training, {"model.architecture.hidden_size": 9}, GRU),
    Case("RecurrentArchitecture.num_layers", training, {"model.architecture.num_layers": 2}, LSTM),
    Case("TSKArchitecture.dropout", training, {"model.architecture.dropout": 0.4}, TSK),
    Case("TSKArchitecture.rules", training, {"model.architecture.rules": 7}, TSK),
    Case("TSKArchitecture.consequent", training, {"model.architecture.consequent": "constant"}, TSK),
    Case("TSKArchitecture.initialization", training, {"model.architecture.initialization": "random"}, TSK),
    Case("TSKArchitecture.initial_width", training, {"model.architecture.initial_width": 2.5}, TSK),
    Case("ClassificationDecisions.output_format", training, REGRESSION),
    Case("ClassificationDecisions.confidence_threshold", decisions, {"decisions.confidence_threshold": 0.8}),
    Case("ClassificationDecisions.position_awareness", decisions, {"decisions.position_awareness": False}),
    Case("ClassificationDecisions.allow_short", decisions, {"decisions.allow_short": False}),
    Case("RegressionDecisions.output_format", training, {"decisions": {"output_format": "classification"}}, REGRESSION),
    Case("RegressionDecisions.position_awareness", decisions, {"decisions.position_awareness": False}, REGRESSION),
    Case("RegressionDecisions.allow_short", decisions, {"decisions.allow_short": False}, REGRESSION),
    Case("CostModel.round_trip_cost", decisions, {"decisions.cost_model.round_trip_cost": 0.006}, REGRESSION),
    Case("CostModel.min_edge_multiplier", decisions, {"decisions.cost_model.min_edge_multiplier": 3.0}, REGRESSION),
    Case("Filters.min_signal_separation", decisions, {"decisions.filters.min_signal_separation": 5}),
    Case("ForwardReturnLabels.source", labels, {"training.labels": {"source": "zigzag"}}),
    Case("ForwardReturnLabels.horizon", labels, {"training.labels.horizon": 6}),
    Case("ForwardReturnLabels.threshold", labels, {"training.labels.threshold": 0.02}),
    Case("TripleBarrierLabels.source", labels, label_source("regime"), label_source("triple_barrier")),
    Case("TripleBarrierLabels.pt_multiplier", labels, {"training.labels.pt_multiplier": 4.0}, label_source("triple_barrier")),
    Case("TripleBarrierLabels.sl_multiplier", labels, {"training.labels.sl_multiplier": 4.0}, label_source("triple_barrier")),
    Case("TripleBarrierLabels.max_holding_period", labels, {"training.labels.max_holding_period": 3}, label_source("triple_barrier")),
    Case("TripleBarrierLabels.vol_span", labels, {"training.labels.vol_span": 10}, label_source("triple_barrier")),
    Case("TripleBarrierLabels.vol_method", labels, {"training.labels.vol_method": "ewma"}, label_source("triple_barrier")),
    Case("TripleBarrierLabels.compute_weights", labels, {"training.labels.compute_weights": True}, label_source("triple_barrier")),
    Case("TripleBarrierLabels.compute_weights", training, {"training.labels.compute_weights": True}, label_source("triple_barrier")),
    Case("ZigzagLabels.source", labels, label_source("regime"), label_source("zigzag")),
    Case("ZigzagLabels.zigzag_threshold", labels, {"training.labels.zigzag_threshold": 0.02}, label_source("zigzag")),
    Case("ZigzagLabels.label_lookahead", labels, {"training.labels.label_lookahead": 5}, label_source("zigzag")),
    Case("RegimeLabels.source", labels, label_source("zigzag"), label_source("regime")),
    Case("RegimeLabels.horizon", labels, {"training.labels.horizon": 8}, label_source("regime")),
    Case("RegimeLabels.trending_threshold", labels, {"training.labels.trending_threshold": 0.6}, label_source("regime")),
    Case("RegimeLabels.vol_lookback", labels, {"training.labels.vol_lookback": 20}, label_source("regime")),
    Case("RegimeLabels.vol_crisis_threshold", labels, {"training.labels.vol_crisis_threshold": 1.05}, label_source("regime")),
    Case("Training.loss", training, {"training.loss": "focal"}),
    Case("Training.loss", training, {"training.loss": "mse"}, REGRESSION),
    Case("Training.focal_gamma", training, {"training.focal_gamma": 4.0}, {"training.loss": "focal"}),
    Case("Training.huber_delta", training, {"training.huber_delta": 0.001}, REGRESSION),
    Case("Training.label_smoothing", training, {"training.label_smoothing": 0.2}),
    Case("Training.class_weights", training, {"training.class_weights": "balanced"}),
    Case("Training.class_weights", training, {"training.class_weights": [1.0, 2.0, 3.0]}),
    Case("Training.optimizer", training, {"training.optimizer": "sgd"}),
    Case("Training.optimizer", training, {"training.optimizer": "adamw"}, {"training.weight_decay": 0.1}),
    Case("Training.learning_rate", training, {"training.learning_rate": 0.02}),
    Case("Training.momentum", training, {"training.momentum": 0.1}, {"training.optimizer": "sgd"}),
    Case("Training.weight_decay", training, {"training.weight_decay": 0.05}),
    Case("Training.gradient_clip", training, {"training.gradient_clip": 0.01}),
    Case("Training.batch_size", training, {"training.batch_size": 32}),
    Case("Training.epochs", training, {"training.epochs": 3}),
    Case("StepSchedule.type", training, schedule("cosine"), schedule("step", step_size=1)),
    Case("StepSchedule.step_size", training, {"training.lr_scheduler.step_size": 2}, schedule("step", step_size=1)),
    Case("StepSchedule.gamma", training, {"training.lr_scheduler.gamma": 0.9}, schedule("step", step_size=1)),
    Case("ExponentialSchedule.type", training, schedule("cosine"), schedule("exponential")),
    Case("ExponentialSchedule.gamma", training, {"training.lr_scheduler.gamma": 0.5}, schedule("exponential")),
    Case("CosineSchedule.type", training, schedule("exponential"), schedule("cosine")),
    Case("CosineSchedule.final_fraction", training, {"training.lr_scheduler.final_fraction": 0.5}, schedule("cosine")),
    Case("PlateauSchedule.type", training, schedule("cosine"), schedule("reduce_on_plateau")),
    Case("PlateauSchedule.factor", training, {"training.lr_scheduler.factor": 0.1}, RESTLESS | schedule("reduce_on_plateau", patience=0)),
    Case("PlateauSchedule.patience", training, {"training.lr_scheduler.patience": 2}, RESTLESS | schedule("reduce_on_plateau", patience=0)),
    Case("EarlyStopping.enabled", training, {"training.early_stopping.enabled": False}, RESTLESS | {"training.early_stopping.patience": 2}),
    Case("EarlyStopping.patience", training, {"training.early_stopping.patience": 4}, RESTLESS | {"training.early_stopping.patience": 2}),
    Case("EarlyStopping.min_delta", training, {"training.early_stopping.min_delta": 50.0}, {"training.early_stopping.patience": 2}),
    Case("DataSplit.train", split, {"training.data_split": {"train": 0.6, "validation": 0.25}}),
    Case("DataSplit.validation", split, {"training.data_split": {"validation": 0.2, "test": 0.1}}),
    Case("DataSplit.test", split, {"training.data_split": {"train": 0.85, "test": 0.0}}),
    Case("DataSplit.embargo", split, {"training.data_split.embargo": 20}),
]  # fmt: skip

REJECTED: dict[str, Changes] = {
    "TrainedStrategy.version": {"version": "2.0"},
    "Training.method": {"training.method": "reinforcement"},
    "InputFeatures.include_price_context": {"model.features.include_price_context": True},
    "Filters.volume_filter": {"decisions.filters.volume_filter": True},
    "ClassificationDecisions.num_classes": {"decisions.num_classes": 2},
    "MLPArchitecture.output_activation": {"model.architecture.output_activation": "linear"},
    "RecurrentArchitecture.output_activation": LSTM | {"model.architecture.output_activation": "linear"},
    "TSKArchitecture.output_activation": TSK | {"model.architecture.output_activation": "linear"},
}
"""Keys with only one possible value; every other value is rejected."""


def strategy_text(*changes: Changes) -> str:
    data = yaml.safe_load(STRATEGY)
    for change in changes:
        for path, value in change.items():
            *parents, last = path.split(".")
            section = data
            for parent in parents:
                section = (
                    section[int(parent)] if isinstance(section, list) else section.setdefault(parent, {})
                )
            section[last] = copy.deepcopy(value)
    return str(yaml.safe_dump(data, sort_keys=False))


def keys_of_the_schema() -> Iterator[str]:
    """Yield section and key of each value in the schema, including those of nested sections."""
    schema = TrainedStrategy.model_json_schema()
    for section, node in [("TrainedStrategy", schema), *schema["$defs"].items()]:
        for key, value in node.get("properties", {}).items():
            if "$ref" not in str(value):
                yield f"{section}.{key}"


def test_no_key_of_the_schema_is_left_out() -> None:
    """Lesson Q30: a new key needs an effect here, or is rejected."""
    assert {case.key for case in CASES} | set(REJECTED) == set(keys_of_the_schema())


@pytest.mark.parametrize("case", CASES, ids=[f"{case.key} {case.effect.__name__}" for case in CASES])
def test_each_key_has_an_effect(case: Case, tmp_path: Path) -> None:
    """Lesson Q30: changing only that key in the file changes the result."""
    before = parse_strategy(strategy_text(case.before))
    after = parse_strategy(strategy_text(case.before, case.after))
    assert case.effect(before, tmp_path) == case.effect(before, tmp_path)
    assert case.effect(before, tmp_path) != case.effect(after, tmp_path)


@pytest.mark.parametrize("key", REJECTED)
def test_a_key_that_cannot_have_an_effect_is_rejected(key: str) -> None:
    """Lesson Q30."""
    with pytest.raises(StrategyError) as rejected:
        parse_strategy(strategy_text(REJECTED[key]))
    [error] = rejected.value.errors
    assert error.pointer.endswith(key.partition(".")[2])
    assert len(error.message) > 10
