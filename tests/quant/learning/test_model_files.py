"""Models on disk: their predictions, and the files that are rejected."""

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
from tests.quant.learning.test_training_pipeline import GRU, KINDS, run, with_sections
from workers.learning.model_files import BadModel, TrainedModel, load_model
from workers.strategy.features import build_features
from workers.strategy.grammar import parse_strategy, parse_trained_strategy

NewJob = Callable[[], RecordedJob]
Files = dict[str, bytes]
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


@pytest.fixture(scope="module")
def trained(bar_files: dict[str, Path]) -> Callable[[str], Files]:
    """Return both files of a kind of model, trained once."""
    cache: dict[str, Files] = {}

    def files(kind: str) -> Files:
        if kind not in cache:
            job = RecordedJob(bar_files)
            run(job, KINDS[kind])
            cache[kind] = {name: job.artifacts[name] for name in (WEIGHTS, DESCRIPTION)}
        return dict(cache[kind])

    return files


def load_files(files: Files, directory: Path) -> TrainedModel:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return load_model(directory / WEIGHTS, directory / DESCRIPTION)


def change_description(files: Files, **changes: Any) -> Files:
    """Return the same weights with a changed `model.json`."""
    data = json.loads(files[DESCRIPTION]) | changes
    return files | {DESCRIPTION: json.dumps(data).encode()}


def change_weights(files: Files, change: Callable[[dict[str, torch.Tensor]], object]) -> Files:
    """Return changed weights with the correct hash in `model.json`."""
    tensors = load(files[WEIGHTS])
    change(tensors)
    content = save(tensors)
    return change_description(files | {WEIGHTS: content}, weights_sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("kind", KINDS)
def test_predicting_single_rows_equals_predicting_all_at_once(
    kind: str, trained: Callable[[str], Files], tmp_path: Path
) -> None:
    """Lesson Q12: a search over thousands of rows and a single decision agree; each sequence row is predicted from
    only its own window."""
    model = load_files(trained(kind), tmp_path)
    bars = synthetic(7, n=300, persistence=0.35)
    features = build_features(model.strategy, {"1d": bars})
    index = pd.DatetimeIndex(bars.index)
    batch = model.predict(features, index)
    length = 5 if kind in ("lstm", "gru") else 1
    assert np.isnan(batch[: length - 1]).all()
    assert np.isfinite(batch[length - 1 :]).all()
    for row in range(length - 1, len(features), 7):
        single = model.predict(features.iloc[row + 1 - length : row + 1], index)[-1]
        np.testing.assert_allclose(single, batch[row], rtol=1e-4, atol=1e-6)


def test_a_sequence_is_not_predicted_across_a_gap(trained: Callable[[str], Files], tmp_path: Path) -> None:
    model = load_files(trained("gru"), tmp_path)
    bars = synthetic(7, n=300)
    bars = pd.concat([bars.iloc[:150], bars.iloc[180:]])
    features = build_features(model.strategy, {"1d": bars})
    batch = model.predict(features, pd.DatetimeIndex(bars.index))
    first = int(np.searchsorted(features.index, bars.index[150]))
    assert np.isfinite(batch[first - 1]).all()
    assert np.isnan(batch[first : first + 4]).all()
    assert np.isfinite(batch[first + 4]).all()


def test_a_renamed_input_is_rejected(trained: Callable[[str], Files], tmp_path: Path) -> None:
    model = load_files(trained("mlp"), tmp_path)
    features = build_features(model.strategy, {"1d": synthetic(7)})
    renamed = features.rename(columns={"1d_mom_5_raw": "1d_mom_6_raw"})
    with pytest.raises(BadModel, match=r"The model's inputs are .*1d_mom_5_raw.*features are .*1d_mom_6_raw"):
        model.predict(renamed)
    names = json.loads(trained("mlp")[DESCRIPTION])["input_names"]
    for others in ([*names[1:], "1d_mom_6_raw"], [*names, names[0]]):
        with pytest.raises(BadModel, match="its strategy has other inputs"):
            load_files(change_description(trained("mlp"), input_names=others), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_another_shape_are_rejected(
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
        with pytest.raises(BadModel, match=r"does not match the network that model\.json describes"):
            load_files(change_weights(files, change), tmp_path)


def test_weights_that_contain_nan_are_rejected(trained: Callable[[str], Files], tmp_path: Path) -> None:
    """Lesson Q32: they are not used for a single decision."""
    files = change_weights(trained("mlp"), lambda tensors: tensors["layers.0.bias"].fill_(float("nan")))
    with pytest.raises(BadModel, match="contains NaN or infinite weights"):
        load_files(files, tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, DESCRIPTION])
def test_a_truncated_file_is_rejected(name: str, trained: Callable[[str], Files], tmp_path: Path) -> None:
    complete = trained("tsk")
    for length in (0, 5, len(complete[name]) // 2, len(complete[name]) - 1):
        with pytest.raises(BadModel, match=name.replace(".", r"\.")):
            load_files(complete | {name: complete[name][:length]}, tmp_path)


def test_files_of_two_models_are_rejected(trained: Callable[[str], Files], tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="belong to different models"):
        load_files({WEIGHTS: trained("mlp")[WEIGHTS], DESCRIPTION: trained("tsk")[DESCRIPTION]}, tmp_path)


@pytest.mark.parametrize(
    ("scaler", "message"),
    [
        ({"shift": [0.0], "scale": [1.0]}, r"number of scales is not the number of inputs \(4\)"),
        (
            {"shift": [0.0] * 4, "scale": [1.0, 1.0, 1.0, 0.0]},
            r"scaler\.scale\.3: must be greater than 0",
        ),
        ({"shift": [0.0] * 4}, r"scaler\.scale: is required"),
        ({"shift": ["a"] * 4, "scale": [1.0] * 4}, r"scaler\.shift\.0: must be a number, not .a"),
    ],
)
def test_scales_that_do_not_match_are_rejected(
    scaler: dict[str, Any], message: str, trained: Callable[[str], Files], tmp_path: Path
) -> None:
    with pytest.raises(BadModel, match=message):
        load_files(change_description(trained("mlp"), scaler=scaler), tmp_path)


def test_another_format_or_strategy_is_rejected(trained: Callable[[str], Files], tmp_path: Path) -> None:
    files = trained("mlp")
    with pytest.raises(BadModel, match="has format 2; this version reads format 1"):
        load_files(change_description(files, format=2), tmp_path)
    with pytest.raises(BadModel, match="own strategy is no longer valid"):
        load_files(change_description(files, strategy_text="name: x"), tmp_path)
    with pytest.raises(BadModel, match="does not match the network"):
        load_files(change_description(files, strategy_text=GRU), tmp_path)


def test_a_model_decides_only_for_the_strategy_that_it_was_trained_with(
    trained: Callable[[str], Files], tmp_path: Path
) -> None:
    model = load_files(trained("mlp"), tmp_path)
    model.check_compatible(
        parse_strategy(with_sections(training={"epochs": 99}, decisions={"confidence_threshold": 0.7}))
    )
    for text, message in (
        (STRATEGY.replace("period: 7", "period: 8"), "`indicators` differs"),
        (STRATEGY.replace("[30, 50, 70]", "[30, 50, 71]"), "`fuzzy_sets` differs"),
        (STRATEGY.replace("zscore", "minmax"), "`nn_inputs` differs"),
        (GRU, "`model` differs"),
        (STRATEGY.replace("timeframe: 1d", "timeframe: 1h"), "The timeframes differ"),
    ):
        with pytest.raises(BadModel, match=message):
            model.check_compatible(parse_strategy(text))


def test_the_strategy_of_a_model_is_parsed_once(
    trained: Callable[[str], Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []

    def parse(text: str) -> Any:
        texts.append(text)
        return parse_trained_strategy(text)

    monkeypatch.setattr("workers.learning.model_files.parse_trained_strategy", parse)
    model = load_files(trained("mlp"), tmp_path)
    assert model.strategy.features
    assert model.strategy.input_names == model.description.input_names
    assert texts == [model.description.strategy_text]
