"""Save and load a trained model as two files: safetensors for the weights, JSON for their meaning. Never a pickle.

The JSON contains everything that a backtest needs: the strategy's text, the inputs in order, their scales.
"""

import hashlib
import json
from dataclasses import dataclass
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
from worker_agent.validation_messages import first_problem
from workers.learning.batches import Batches, outputs
from workers.learning.dataset import run_lengths
from workers.learning.losses import CLASSES
from workers.learning.networks import build_network
from workers.learning.scaling import Scaler
from workers.learning.segments import segment_numbers
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.grammar import StrategyError, TrainedStrategy, parse_trained_strategy
from workers.strategy.sections.model import sequence_length

FORMAT = 1
Floats = NDArray[np.float64]


class BadModel(InvalidInput):
    """The files are not a model of this format, or do not match the strategy or the data."""


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
    """Hash of `model.safetensors`; `save_model` fills it in."""
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
    """Opens of the first and last bar of the training and validation part, including their labels."""
    seed: int
    best_epoch: int
    provenance: dict[str, Any]


@dataclass(frozen=True)
class TrainedModel:
    description: Description
    network: nn.Module
    scaler: Scaler
    strategy: TrainedStrategy
    """The one that it was trained with, with the inputs in the order of the model."""

    @property
    def training_period(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        return pd.Timestamp(self.description.trained_from), pd.Timestamp(self.description.trained_until)

    def check_compatible(self, strategy: TrainedStrategy) -> None:
        """Raise BadModel unless `strategy` has the same inputs, computed in the same way, as the model's own; their order
        does not matter."""
        own = self.strategy
        if (set(own.timeframes), own.base_timeframe) != (set(strategy.timeframes), strategy.base_timeframe):
            raise BadModel(
                "The timeframes differ from those of the strategy that the model was trained with; train a new model for them."
            )
        for name, differs in (
            ("indicators", own.indicators != strategy.indicators),
            ("fuzzy_sets", own.fuzzy_sets != strategy.fuzzy_sets),
            ("nn_inputs", set(own.features) != set(strategy.features)),
            ("model", own.model != strategy.model),
        ):
            if differs:
                raise BadModel(
                    f"`{name}` differs from the strategy that the model was trained with; train a new model for this strategy."
                )
        if own.is_classification != strategy.is_classification:
            raise BadModel(
                "`output_format` differs from the strategy that the model was trained with: one is classification, the other regression."
            )

    def predict(self, features: pd.DataFrame, bars: pd.DatetimeIndex | None = None) -> Floats:
        """Predict all rows in one pass: float64[n, 3] probabilities of short, flat, long, or float64[n] forecast
        returns; NaN if a sequence lacks a complete window.

        `bars`: opens of the base bars that the features were computed from, which show a sequence model the missing
        rows. Raises BadModel if the features are not the model's inputs.
        """
        if tuple(features.columns) != self.description.input_names:
            raise BadModel(
                f"The model's inputs are {', '.join(self.description.input_names)}, "
                f"but the features are {', '.join(map(str, features.columns))}."
            )
        values = features.to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            raise BadModel("The features contain NaN or infinite values.")
        length = sequence_length(self.strategy.model)
        x = torch.from_numpy(self.scaler.apply(values))
        rows = self._rows_with_window(features, bars)
        predicted = self._predictions(outputs(self.network, Batches(x, length), torch.from_numpy(rows)))
        if len(rows) == len(values):
            return predicted
        predictions = np.full((len(values), *predicted.shape[1:]), np.nan)
        predictions[rows] = predicted
        return predictions

    def predict_windows(self, windows: Floats) -> Floats:
        """Predict the last row of each window from that window only; as `predict`, one row per window.

        `windows`: unscaled inputs, float64[n, bars of a window, inputs].
        """
        n, length, inputs = windows.shape
        x = torch.from_numpy(self.scaler.apply(windows.reshape(-1, inputs)))
        last_rows = torch.arange(length - 1, n * length, length)
        return self._predictions(outputs(self.network, Batches(x, length), last_rows))

    def _predictions(self, out: Tensor) -> Floats:
        """Return the network's outputs, float32[n, outputs], as probabilities or returns. Raises BadModel."""
        out = out.double()
        if not bool(torch.isfinite(out).all()):
            raise BadModel("The model's predictions contain NaN or infinite values.")
        if self.description.classification:
            probabilities: Floats = torch.softmax(out, dim=1).numpy()
            return probabilities
        forecasts: Floats = (
            out.squeeze(1).numpy() * self.description.label_scale + self.description.label_mean
        )
        return forecasts

    def single_precision_error(self, windows: Floats) -> float:
        """Return the largest change of a prediction when the network computes in double precision.

        `windows`: unscaled inputs, float64[n, bars of a window, inputs].
        """
        x = torch.from_numpy(self.scaler.apply(windows))
        if x.shape[1] == 1:
            x = x.squeeze(1)
        with torch.no_grad():
            single = self.network(x).double()
            try:
                double = self.network.double()(x.double())
            finally:
                self.network.float()  # exact: the weights came from single precision
        if self.description.classification:
            change = torch.softmax(single, dim=1) - torch.softmax(double, dim=1)
        else:
            change = (single - double) * self.description.label_scale
        return float(change.abs().max())

    def _rows_with_window(self, features: pd.DataFrame, bars: pd.DatetimeIndex | None) -> NDArray[np.int64]:
        """Return the rows with a complete window of consecutive bars before them, by the same rule as in the training."""
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
    """Return `model.safetensors` and `model.json`, which contains the other's hash. Equal models give equal bytes."""
    # Cloned, because a network's weights are views of one vector during the training.
    weights = save(
        {name: tensor.detach().cpu().clone() for name, tensor in sorted(network.state_dict().items())}
    )
    complete = description.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
    text = json.dumps(complete.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
    return {"model.safetensors": weights, "model.json": text.encode()}


def load_model(weights_path: Path, description_path: Path) -> TrainedModel:
    """Load a model. Raises BadModel if the files are damaged, of another format, or not from the same model."""
    description = _read_description(description_path)
    content = weights_path.read_bytes()
    try:
        tensors: dict[str, Tensor] = load(content)
    except SafetensorError as error:
        raise BadModel(f"model.safetensors is damaged: {error}") from error
    if hashlib.sha256(content).hexdigest() != description.weights_sha256:
        raise BadModel("model.safetensors and model.json belong to different models.")
    strategy = _strategy_of(description)
    network = build_network(
        strategy.model, len(description.input_names), CLASSES if description.classification else 1
    )
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BadModel("model.safetensors does not match the network that model.json describes.") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise BadModel("model.safetensors contains NaN or infinite weights.")
    network.eval()
    return TrainedModel(description, network, _scaler(description), strategy)


def _strategy_of(description: Description) -> TrainedStrategy:
    """Return the model's own strategy, with the inputs in the order of the model. Raises BadModel."""
    try:
        strategy = parse_trained_strategy(description.strategy_text)
    except StrategyError as error:
        raise BadModel(f"The model's own strategy is no longer valid: {error}") from error
    try:
        return strategy.with_input_order(description.input_names)
    except ValueError as error:
        raise BadModel("model.json is inconsistent: its strategy has other inputs.") from error


def _scaler(description: Description) -> Scaler:
    scales, inputs = description.scaler, len(description.input_names)
    if (len(scales.shift), len(scales.scale)) != (inputs, inputs):
        raise BadModel(
            f"model.json is inconsistent: the number of scales is not the number of inputs ({inputs})."
        )
    return Scaler(np.array(scales.shift), np.array(scales.scale))


def _read_description(path: Path) -> Description:
    try:
        description = Description.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadModel(f"model.json is not a valid model description: {first_problem(error)}.") from error
    if description.format != FORMAT:
        raise BadModel(f"model.json has format {description.format}; this version reads format {FORMAT}.")
    return description


def parameters_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
