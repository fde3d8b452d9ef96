"""The order of a file's keys and lists changes neither a training nor the decisions of a model, stored ones included."""

import hashlib
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load, save

from tests.quant.learning.conftest import RecordedJob, synthetic
from tests.quant.learning.test_training_pipeline import GRU, REGRESSION, STRATEGY, TSK_MODEL, run
from workers.learning.model_files import TrainedModel, load_model
from workers.strategy.features import build_features
from workers.strategy.grammar import parse_trained_strategy

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
TWO_TIMEFRAMES = {"mode": "multi_timeframe", "list": ["1d", "1w"], "base_timeframe": "1d"}


def shorten(text: str, **model: Any) -> str:
    """Return the strategy with two epochs, two timeframes and further keys of its model."""
    data = yaml.safe_load(text)
    data["training"]["epochs"] = 2
    data["training_data"]["timeframes"] = TWO_TIMEFRAMES
    data["model"] |= model
    return yaml.safe_dump(data, sort_keys=False)


KINDS = {
    "mlp": shorten(STRATEGY, features={"lookback_periods": 2}),
    "gru": shorten(GRU, architecture={"sequence_length": 5, "hidden_size": 6}),
    "tsk": shorten(TSK_MODEL),
    "regression": shorten(REGRESSION),
}


def shuffle(value: Any, order: random.Random, name: str = "") -> Any:
    """Return the value with every mapping, and the lists without a meaning of their order, in another order."""
    if isinstance(value, dict):
        keys = order.sample(sorted(value), len(value))
        return {key: shuffle(value[key], order, key) for key in keys}
    if isinstance(value, list) and name in ("nn_inputs", "list"):
        return [shuffle(entry, order) for entry in order.sample(value, len(value))]
    return value


def reordered(text: str, seed: int | None) -> str:
    """Return the file with sorted keys, or in a random order."""
    data = yaml.safe_load(text)
    if seed is None:
        return yaml.safe_dump(data, sort_keys=True)
    return yaml.safe_dump(shuffle(data, random.Random(seed)), sort_keys=False)


@pytest.fixture(scope="module")
def trained(bar_files: dict[str, Path]) -> Callable[[str], dict[str, bytes]]:
    """Return both files of the model of a strategy."""

    @cache
    def train(text: str) -> dict[str, bytes]:
        job = RecordedJob(bar_files)
        run(job, text)
        return {name: job.artifacts[name] for name in (WEIGHTS, DESCRIPTION)}

    return train


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_a_file_does_not_change_the_model(
    kind: str, trained: Callable[[str], dict[str, bytes]]
) -> None:
    weights = trained(KINDS[kind])[WEIGHTS]
    for other in (reordered(KINDS[kind], None), reordered(KINDS[kind], 1)):
        assert trained(other)[WEIGHTS] == weights


def in_order_of_the_file(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the same model as earlier versions stored it: with the inputs in the order of its file."""
    data = json.loads(files[DESCRIPTION])
    names = data["input_names"]
    of_file = [
        f"{timeframe}_{name}{lag}"
        for lag in ("", "@-1", "@-2")
        for name, timeframes in (("momentum_low", 2), ("momentum_middle", 2), ("momentum_high", 2), ("mom_5_raw", 2))
        for timeframe in ("1d", "1w")[:timeframes]
        if f"{timeframe}_{name}{lag}" in names
    ]  # fmt: skip
    assert sorted(of_file) == sorted(names)
    assert of_file != names
    column = [names.index(name) for name in of_file]
    tensors = load(files[WEIGHTS])
    for name, tensor in tensors.items():
        for axis, size in enumerate(tensor.shape):
            if size == len(names):
                tensors[name] = tensor.index_select(axis, torch.tensor(column)).contiguous()
                break
    weights = save(tensors)
    data["input_names"] = of_file
    data["scaler"] = {key: [values[i] for i in column] for key, values in data["scaler"].items()}
    data["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    return {WEIGHTS: weights, DESCRIPTION: json.dumps(data).encode()}


def load_files(files: dict[str, bytes], directory: Path) -> TrainedModel:
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return load_model(directory / WEIGHTS, directory / DESCRIPTION)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_model_keeps_the_order_of_its_inputs(
    kind: str, trained: Callable[[str], dict[str, bytes]], tmp_path: Path
) -> None:
    new = load_files(trained(KINDS[kind]), tmp_path / "new")
    old = load_files(in_order_of_the_file(trained(KINDS[kind])), tmp_path / "old")
    frames = {"1d": synthetic(7)}
    predictions = [
        model.predict(build_features(strategy, frames))
        for model in (new, old)
        for given in (model.strategy, parse_trained_strategy(reordered(KINDS[kind], 5)))
        for strategy in (given.with_input_order(model.description.input_names),)
    ]
    for other in predictions[1:]:
        np.testing.assert_allclose(other, predictions[0], rtol=1e-4, atol=1e-6)
    old.check_compatible(parse_trained_strategy(reordered(KINDS[kind], 6)))


def test_names_of_other_inputs_are_rejected() -> None:
    strategy = parse_trained_strategy(STRATEGY)
    names = strategy.input_names
    for wrong in (names[1:], (*names, "another"), ("another", *names[1:]), ()):
        with pytest.raises(ValueError, match="not those of the strategy's inputs"):
            strategy.with_input_order(wrong)
    assert strategy.with_input_order(names[::-1]).input_names == names[::-1]
