"""Leaks of the next row, or of all rows, planted in inputs, indicators, predictions and scales."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from workers.backtesting import decision_source
from workers.learning import dataset, prepared_data
from workers.learning.model_files import TrainedModel
from workers.strategy import features, lookahead
from workers.strategy.indicators import BarColumns

_CONSTANT = 1e-5
"""Range of the probabilities, or of the forecasts relative to the labels, of a model that has learned nothing."""


def leaky_rows(times: pd.DatetimeIndex, share: float, seed: int) -> np.ndarray:
    """Choose rows by their time, so that the same bars leak in data of any length; never the last row."""
    hashes = pd.util.hash_array(np.asarray(times.as_unit("s").astype("int64")) + 7919 * seed)
    return np.flatnonzero(hashes[:-1] % 10_000 < share * 10_000)


def with_next_row(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    leaky = values.copy()
    leaky[rows] = values[rows + 1]
    return leaky


@contextmanager
def leak_in_inputs(share: float, seed: int) -> Iterator[None]:
    build = features.build_features

    def leaky_build(*arguments: Any) -> pd.DataFrame:
        honest = build(*arguments)
        leaky = with_next_row(honest.to_numpy(), leaky_rows(pd.DatetimeIndex(honest.index), share, seed))
        frame = pd.DataFrame(leaky, index=honest.index, columns=honest.columns)
        frame.attrs = honest.attrs
        return frame

    with (
        patch.object(dataset, "build_features", leaky_build),
        patch.object(decision_source, "build_features", leaky_build),
        patch.object(lookahead, "build_features", leaky_build),
    ):
        yield


@contextmanager
def leak_in_indicators(share: float, seed: int) -> Iterator[None]:
    compute = features.compute_unchecked

    def leaky_compute(name: str, bars: BarColumns, parameters: Any) -> dict[str, np.ndarray]:
        rows = leaky_rows(pd.DatetimeIndex(bars.bars.index), share, seed)
        return {output: with_next_row(line, rows) for output, line in compute(name, bars, parameters).items()}

    with patch.object(features, "compute_unchecked", leaky_compute):
        yield


class NothingLeaks(Exception):
    """The model predicts the same at every row, so a prediction of the next row tells nothing."""


@contextmanager
def leak_in_predictions(share: float, seed: int) -> Iterator[None]:
    """Raises NothingLeaks in the run."""
    predict = TrainedModel.predict

    def leaky_predict(self: TrainedModel, inputs: pd.DataFrame, bars: Any = None) -> np.ndarray:
        honest = predict(self, inputs, bars)
        scale = 1.0 if self.description.classification else self.description.label_scale
        if np.nanmax(np.nanmax(honest, axis=0) - np.nanmin(honest, axis=0)) < _CONSTANT * scale:
            raise NothingLeaks
        return with_next_row(honest, leaky_rows(pd.DatetimeIndex(inputs.index), share, seed))

    with patch.object(TrainedModel, "predict", leaky_predict):
        yield


@contextmanager
def scales_of_all_rows() -> Iterator[None]:
    build, fit = prepared_data.build_dataset, prepared_data.fit_scaler
    known: list[dataset.Dataset] = []

    def remember(*arguments: Any) -> dataset.Dataset:
        known.append(build(*arguments))
        return known[-1]

    def fit_all(strategy: Any, _: np.ndarray) -> Any:
        return fit(strategy, known[-1].features)

    with (
        patch.object(prepared_data, "build_dataset", remember),
        patch.object(prepared_data, "fit_scaler", fit_all),
    ):
        yield
