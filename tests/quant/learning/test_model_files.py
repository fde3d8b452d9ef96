"""Models on disk: what they predict, and what is refused instead of predicted from."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load, save

from tests.quant.learning.conftest import STRATEGY, RecordedJob, synthetic
from tests.quant.learning.test_training import GRU, KINDS, changed, run
from workers.learning.model_files import BadModel, TrainedModel, load_model
from workers.strategy.features import build_features
from workers.strategy.grammar import parse_strategy

NewJob = Callable[[], RecordedJob]
Files = dict[str, bytes]
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


@pytest.fixture(scope="module")
def trained(bar_files: dict[str, Path]) -> Callable[[str], Files]:
    """Both files of each kind of model, trained once."""
    known: dict[str, Files] = {}

    def files(kind: str) -> Files:
        if kind not in known:
            job = RecordedJob(bar_files)
            run(job, KINDS[kind])
            known[kind] = {name: job.artifacts[name] for name in (WEIGHTS, DESCRIPTION)}
        return dict(known[kind])

    return files


def read(files: Files, directory: Path) -> TrainedModel:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return load_model(directory / WEIGHTS, directory / DESCRIPTION)


def described(files: Files, **changes: Any) -> Files:
    """The same weights, with changes in `model.json`."""
    data = json.loads(files[DESCRIPTION]) | changes
    return files | {DESCRIPTION: json.dumps(data).encode()}


def weighted(files: Files, change: Callable[[dict[str, torch.Tensor]], object]) -> Files:
    """Other weights, whose hash `model.json` gives correctly."""
    tensors = load(files[WEIGHTS])
    change(tensors)
    content = save(tensors)
    return described(files | {WEIGHTS: content}, weights_sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_one_by_one_are_predicted_as_all_at_once(
    kind: str, trained: Callable[[str], Files], tmp_path: Path
) -> None:
    """Lesson Q12: a search over thousands of rows and a single decision go one way; each sequence row is given its
    own window alone."""
    model = read(trained(kind), tmp_path)
    bars = synthetic(7, n=300, persistence=0.35)
    features = build_features(model.strategy, {"1d": bars})
    index = pd.DatetimeIndex(bars.index)
    batch = model.predict(features, index)
    length = 5 if kind in ("lstm", "gru") else 1
    assert np.isnan(batch[: length - 1]).all()
    assert np.isfinite(batch[length - 1 :]).all()
    for row in range(length - 1, len(features), 7):
        one = model.predict(features.iloc[row + 1 - length : row + 1], index)[-1]
        np.testing.assert_allclose(one, batch[row], rtol=1e-4, atol=1e-6)


def test_a_sequence_is_not_predicted_across_a_gap(trained: Callable[[str], Files], tmp_path: Path) -> None:
    model = read(trained("gru"), tmp_path)
    bars = synthetic(7, n=300)
    bars = pd.concat([bars.iloc[:150], bars.iloc[180:]])
    features = build_features(model.strategy, {"1d": bars})
    batch = model.predict(features, pd.DatetimeIndex(bars.index))
    first = int(np.searchsorted(features.index, bars.index[150]))
    assert np.isfinite(batch[first - 1]).all()
    assert np.isnan(batch[first : first + 4]).all()
    assert np.isfinite(batch[first + 4]).all()


def test_another_name_of_an_input_is_refused(trained: Callable[[str], Files], tmp_path: Path) -> None:
    model = read(trained("mlp"), tmp_path)
    features = build_features(model.strategy, {"1d": synthetic(7)})
    renamed = features.rename(columns={"1d_mom_5_raw": "1d_mom_6_raw"})
    with pytest.raises(
        BadModel, match=r"The model has the inputs .*1d_mom_5_raw.*features are .*1d_mom_6_raw"
    ):
        model.predict(renamed)
    names = json.loads(trained("mlp")[DESCRIPTION])["input_names"]
    with pytest.raises(BadModel, match="its strategy has other inputs"):
        read(described(trained("mlp"), input_names=names[::-1]), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_another_shape_are_refused(
    kind: str, trained: Callable[[str], Files], tmp_path: Path
) -> None:
    files = trained(kind)
    name = next(iter(load(files[WEIGHTS])))
    changes: list[Callable[[dict[str, torch.Tensor]], object]] = [
        lambda tensors: tensors.update({name: torch.zeros(3, 99)}),
        lambda tensors: tensors.pop(name),
        lambda tensors: tensors.update(another=torch.zeros(2)),
    ]
    for change in changes:
        with pytest.raises(BadModel, match=r"does not have the network that model\.json describes"):
            read(weighted(files, change), tmp_path)


def test_weights_that_are_no_numbers_are_refused(trained: Callable[[str], Files], tmp_path: Path) -> None:
    """Lesson Q32: not a single bar is decided with them."""
    files = weighted(trained("mlp"), lambda tensors: tensors["layers.0.bias"].fill_(float("nan")))
    with pytest.raises(BadModel, match="weights that are no numbers"):
        read(files, tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, DESCRIPTION])
def test_a_file_that_is_cut_off_is_refused(
    name: str, trained: Callable[[str], Files], tmp_path: Path
) -> None:
    whole = trained("tsk")
    for length in (0, 5, len(whole[name]) // 2, len(whole[name]) - 1):
        with pytest.raises(BadModel, match=name.replace(".", r"\.")):
            read(whole | {name: whole[name][:length]}, tmp_path)


def test_files_of_two_models_are_refused(trained: Callable[[str], Files], tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="two different models"):
        read({WEIGHTS: trained("mlp")[WEIGHTS], DESCRIPTION: trained("tsk")[DESCRIPTION]}, tmp_path)


@pytest.mark.parametrize(
    ("scaler", "why"),
    [
        ({"shift": [0.0], "scale": [1.0]}, "not one scale for each of 4 inputs"),
        (
            {"shift": [0.0] * 4, "scale": [1.0, 1.0, 1.0, 0.0]},
            r"scaler\.scale\.3 Input should be greater than 0",
        ),
        ({"shift": [0.0] * 4}, r"scaler\.scale Field required"),
        ({"shift": ["a"] * 4, "scale": [1.0] * 4}, r"scaler\.shift\.0 Input should be a valid number"),
    ],
)
def test_scales_that_do_not_fit_are_refused(
    scaler: dict[str, Any], why: str, trained: Callable[[str], Files], tmp_path: Path
) -> None:
    with pytest.raises(BadModel, match=why):
        read(described(trained("mlp"), scaler=scaler), tmp_path)


def test_another_format_or_strategy_is_refused(trained: Callable[[str], Files], tmp_path: Path) -> None:
    files = trained("mlp")
    with pytest.raises(BadModel, match="has format 2; this version reads 1"):
        read(described(files, format=2), tmp_path)
    with pytest.raises(BadModel, match="own strategy is no longer valid"):
        read(described(files, strategy_text="name: x"), tmp_path)
    with pytest.raises(BadModel, match="does not have the network"):
        read(described(files, strategy_text=GRU), tmp_path)


def test_a_model_decides_only_for_the_strategy_that_it_was_trained_for(
    trained: Callable[[str], Files], tmp_path: Path
) -> None:
    model = read(trained("mlp"), tmp_path)
    model.fits(parse_strategy(changed(training={"epochs": 99}, decisions={"confidence_threshold": 0.7})))
    for text, section in (
        (STRATEGY.replace("period: 7", "period: 8"), "other indicators"),
        (STRATEGY.replace("[30, 50, 70]", "[30, 50, 71]"), "other fuzzy_sets"),
        (STRATEGY.replace("zscore", "minmax"), "other nn_inputs"),
        (GRU, "other model"),
        (STRATEGY.replace("timeframe: 1d", "timeframe: 1h"), "other timeframes"),
    ):
        with pytest.raises(BadModel, match=section):
            model.fits(parse_strategy(text))
