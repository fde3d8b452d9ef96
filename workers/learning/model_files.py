"""A trained model as two files: safetensors for the numbers, JSON for what they mean. Never a pickle.

The JSON says all that a backtest needs: the strategy's text, the inputs in their order, their scales.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveFloat, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from worker_agent.protocol import InvalidInput
from workers.learning.batches import Batches, outputs
from workers.learning.dataset import run_lengths
from workers.learning.losses import CLASSES
from workers.learning.networks import build_network, sequence_length
from workers.learning.scaling import Scaler
from workers.learning.segments import segment_numbers
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.grammar import Strategy, StrategyError, parse_strategy

FORMAT = 1
Floats = NDArray[np.float64]


class BadModel(InvalidInput):
    """The files are not a model of this format, or do not fit what is asked of them."""


class Scales(BaseModel):
    """One number for each input."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shift: tuple[float, ...]
    scale: tuple[PositiveFloat, ...]


class Description(BaseModel):
    """`model.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    strategy_name: str
    strategy_text: str
    strategy_sha256: str
    weights_sha256: str = ""
    """Of `model.safetensors`; `save_model` knows it."""
    kind: str
    architecture: dict[str, Any]
    parameters_count: int
    input_names: tuple[str, ...]
    classification: bool
    scaler: Scales
    label_mean: float
    label_scale: float
    symbols: tuple[str, ...]
    timeframes: tuple[str, ...]
    trained_from: str
    trained_until: str
    """Opens of the first and last bar that the training or validation part has seen, labels included."""
    seed: int
    best_epoch: int
    provenance: dict[str, Any]


@dataclass(frozen=True)
class TrainedModel:
    description: Description
    network: nn.Module
    scaler: Scaler

    @cached_property
    def strategy(self) -> Strategy:
        return parse_strategy(self.description.strategy_text)

    @property
    def trained(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        return pd.Timestamp(self.description.trained_from), pd.Timestamp(self.description.trained_until)

    def fits(self, strategy: Strategy) -> None:
        """Raises BadModel unless the model can decide for `strategy`: the same inputs, made the same way."""
        own = self.strategy
        for name in ("indicators", "fuzzy_sets", "nn_inputs", "model"):
            if getattr(own, name) != getattr(strategy, name):
                raise BadModel(f"The model was trained with other {name} than this strategy has.")
        if (own.timeframes, own.base_timeframe) != (strategy.timeframes, strategy.base_timeframe):
            raise BadModel("The model was trained on other timeframes than this strategy has.")
        if own.is_classification != strategy.is_classification:
            raise BadModel(
                "The model and the strategy's decisions differ: one classifies, the other forecasts."
            )

    def predict(self, features: pd.DataFrame, bars: pd.DatetimeIndex | None = None) -> Floats:
        """float64[n, 3] probabilities of short, flat, long, or float64[n] forecast returns; NaN where a sequence has
        no whole window. All rows in one pass.

        `bars`: opens of the base bars that the features were made from, by which a sequence model sees where rows
        are missing. Raises BadModel where the features are not the model's inputs.
        """
        if tuple(features.columns) != self.description.input_names:
            raise BadModel(
                f"The model has the inputs {', '.join(self.description.input_names)}, "
                f"the features are {', '.join(map(str, features.columns))}."
            )
        values = features.to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            raise BadModel("The features have values that are no numbers.")
        length = sequence_length(self.strategy.model)
        x = torch.from_numpy(self.scaler.apply(values))
        rows = self._rows_with_window(features, bars)
        out = outputs(self.network, Batches(x, length), torch.from_numpy(rows)).double()
        if not bool(torch.isfinite(out).all()):
            raise BadModel("The model predicts values that are no numbers.")
        if self.description.classification:
            answer = np.full((len(values), CLASSES), np.nan)
            answer[rows] = torch.softmax(out, dim=1).numpy()
            return answer
        forecast = np.full(len(values), np.nan)
        forecast[rows] = out.squeeze(1).numpy() * self.description.label_scale + self.description.label_mean
        return forecast

    def _rows_with_window(self, features: pd.DataFrame, bars: pd.DatetimeIndex | None) -> NDArray[np.int64]:
        """Rows with enough rows before them, bar by bar and without a gap: the rule of the training."""
        length = sequence_length(self.strategy.model)
        if length == 1:
            return np.arange(len(features))
        index = pd.DatetimeIndex(features.index) if bars is None else bars
        position = np.searchsorted(
            unix_nanoseconds(index), unix_nanoseconds(pd.DatetimeIndex(features.index))
        )
        runs = run_lengths(position, segment_numbers(index, self.strategy.base_timeframe))
        return np.flatnonzero(runs >= length)


def save_model(network: nn.Module, description: Description) -> dict[str, bytes]:
    """`model.safetensors` and `model.json`, which names the other's hash. The same model gives the same bytes."""
    # Cloned: while it is trained, a network's weights are views of one vector.
    weights = save(
        {name: tensor.detach().cpu().clone() for name, tensor in sorted(network.state_dict().items())}
    )
    whole = description.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
    said = json.dumps(whole.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
    return {"model.safetensors": weights, "model.json": said.encode()}


def load_model(weights: Path, description: Path) -> TrainedModel:
    """Raises BadModel where the files are damaged, of another format, or do not belong together."""
    described = _read_description(description)
    content = weights.read_bytes()
    try:
        tensors: dict[str, Tensor] = load(content)
    except SafetensorError as error:
        raise BadModel(f"model.safetensors cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != described.weights_sha256:
        raise BadModel("model.safetensors and model.json are of two different models.")
    try:
        strategy = parse_strategy(described.strategy_text)
    except StrategyError as error:
        raise BadModel(f"The model's own strategy is no longer valid: {error}") from error
    if strategy.input_names != described.input_names:
        raise BadModel("model.json contradicts itself: its strategy has other inputs.")
    network = build_network(
        strategy.model, len(described.input_names), CLASSES if described.classification else 1
    )
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BadModel("model.safetensors does not have the network that model.json describes.") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise BadModel("model.safetensors has weights that are no numbers.")
    network.eval()
    return TrainedModel(described, network, _scaler(described))


def _scaler(described: Description) -> Scaler:
    scales, inputs = described.scaler, len(described.input_names)
    if (len(scales.shift), len(scales.scale)) != (inputs, inputs):
        raise BadModel(f"model.json contradicts itself: it has not one scale for each of {inputs} inputs.")
    return Scaler(np.array(scales.shift), np.array(scales.scale))


def _read_description(path: Path) -> Description:
    try:
        described = Description.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        what = " ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise BadModel(f"model.json is not a description of a model: {what}") from error
    if described.format != FORMAT:
        raise BadModel(f"model.json has format {described.format}; this version reads {FORMAT}.")
    return described


def parameters_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
