"""The audit of the data of a training: inputs of every symbol, scales, labels and parts."""

from dataclasses import replace

import numpy as np
import pytest

from tests.quant.learning.conftest import STRATEGY, synthetic
from workers.learning.prepared_data import Bars, PreparedData, prepare_data
from workers.learning.scaling import fit_scaler
from workers.learning.training_audit import audit_training
from workers.strategy.grammar import parse_strategy
from workers.strategy.lookahead import CUTS, LookAheadError

REGRESSION = (
    STRATEGY.replace("output_format: classification", "output_format: regression")
    .replace(", threshold: 0.005", "")
    .replace("mlp\n  architecture: {hidden_layers: [16], dropout: 0.1}", "gru")
)
STRATEGIES = {"classification": parse_strategy(STRATEGY), "regression": parse_strategy(REGRESSION)}
BARS: Bars = {symbol: {"1d": synthetic(seed)} for seed, symbol in enumerate(("AAA", "BBB"))}


@pytest.fixture(params=list(STRATEGIES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prepared(kind: str) -> PreparedData:
    return prepare_data(STRATEGIES[kind], BARS)


def test_honest_data_pass_with_cuts_in_every_symbol(kind: str) -> None:
    audit = audit_training(STRATEGIES[kind], BARS, prepared(kind))["look_ahead"]
    assert (audit["passed"], audit["symbols"]) == (True, 2)
    assert audit["cuts"] >= CUTS
    assert audit["largest_difference"] == 0.0


def test_a_leak_in_the_second_symbol_alone_is_reported(kind: str) -> None:
    data = prepared(kind)
    features = data.dataset.features.copy()
    rows = data.dataset.rows_of_symbol["BBB"]
    features[rows.start : rows.stop - 1] = features[rows.start + 1 : rows.stop]
    with pytest.raises(LookAheadError, match=r"BBB: the input 1d_.* uses future data"):
        audit_training(
            STRATEGIES[kind], BARS, replace(data, dataset=replace(data.dataset, features=features))
        )


def test_scales_fitted_on_all_rows_are_reported(kind: str) -> None:
    data = prepared(kind)
    leaky = fit_scaler(STRATEGIES[kind], data.dataset.features)
    with pytest.raises(LookAheadError, match=r"the (shift|scale) of the input .* fitted on other rows"):
        audit_training(
            STRATEGIES[kind], BARS, replace(data, scaler=leaky, x=leaky.apply(data.dataset.features))
        )


def test_inputs_that_are_not_scaled_by_the_saved_scales_are_reported(kind: str) -> None:
    data = prepared(kind)
    leaky = fit_scaler(STRATEGIES[kind], data.dataset.features)
    with pytest.raises(LookAheadError, match="the scaled inputs are not those of the scales"):
        audit_training(STRATEGIES[kind], BARS, replace(data, x=leaky.apply(data.dataset.features)))


def test_a_label_scaled_over_all_rows_is_reported() -> None:
    data = prepared("regression")
    label = data.dataset.label
    with pytest.raises(LookAheadError, match="the label is scaled by"):
        audit_training(
            STRATEGIES["regression"],
            BARS,
            replace(data, label_mean=float(label.mean()), label_scale=float(label.std())),
        )


def test_a_label_that_reaches_into_the_next_part_is_reported(kind: str) -> None:
    data = prepared(kind)
    split = data.split
    unpurged = np.flatnonzero(data.dataset.time < split.boundaries[1])
    scaler = fit_scaler(STRATEGIES[kind], data.dataset.features[data.dataset.row[unpurged]])
    label = data.dataset.label[unpurged]
    regression = kind == "regression"
    leaky = replace(
        data,
        split=replace(split, train=unpurged),
        scaler=scaler,
        x=scaler.apply(data.dataset.features),
        label_mean=float(label.mean()) if regression else 0.0,
        label_scale=float(label.std()) if regression else 1.0,
    )
    with pytest.raises(
        LookAheadError, match=r"the label of the training row at .* depends on bars of the next part"
    ):
        audit_training(STRATEGIES[kind], BARS, leaky)
