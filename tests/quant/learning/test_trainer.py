"""The loop itself: losses that are no numbers, labels without a meaning, and how soon it stops."""

import math

import numpy as np
import pytest
import torch
import yaml

from tests.quant.learning.conftest import STRATEGY, synthetic
from tests.quant.learning.test_training import KINDS, changed
from workers.learning.batches import Batches, Rows, outputs
from workers.learning.evaluation import classification_scores
from workers.learning.material import Material, prepare
from workers.learning.networks import sequence_length
from workers.learning.trainer import Diverged, Epoch, State, Trained, train
from workers.strategy.grammar import Strategy, parse_strategy

CPU = torch.device("cpu")


def material_of(strategy: Strategy, persistence: float = 0.35, n: int = 1500) -> Material:
    return prepare(strategy, {"AAA": {"1d": synthetic(0, n=n, persistence=persistence)}})


def trained(
    strategy: Strategy,
    material: Material,
    spoil_after: int | None = None,
    parts: dict[str, Rows] | None = None,
) -> Trained:
    """Trains; after the epoch `spoil_after` a weight becomes no number."""

    def on_epoch(state: State, epoch: Epoch) -> bool:
        if epoch.epoch == spoil_after:
            spoil(state)
        return True

    def begin(state: State) -> None:
        if spoil_after == 0:
            spoil(state)

    return train(
        strategy.model,
        strategy.training,
        material.x,
        material.parts if parts is None else parts,
        seed=3,
        device=CPU,
        label_scale=material.label_scale,
        begin=begin,
        on_epoch=on_epoch,
    )


def spoil(state: State) -> None:
    with torch.no_grad():
        next(state.network.parameters()).view(-1)[0] = math.nan


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_no_number_ends_it_and_the_best_epoch_is_kept(kind: str) -> None:
    """Lessons Q27, Q29: the epochs after it are not run, and the model is what it would have been without them."""
    strategy = parse_strategy(KINDS[kind])
    material = material_of(strategy)
    whole = trained(strategy, material)
    broken = trained(strategy, material, spoil_after=3)
    assert broken.stopped == "diverged"
    assert broken.history == whole.history[:3]
    best = min(broken.history, key=lambda epoch: epoch.validation_loss)
    assert broken.best_epoch == best.epoch
    shorter = trained(parse_strategy(KINDS[kind].replace("epochs: 6", "epochs: 3")), material)
    for name, tensor in shorter.network.state_dict().items():
        torch.testing.assert_close(broken.network.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_first_epoch_without_a_loss_is_one_sentence() -> None:
    """Lesson Q27: there is no epoch to keep."""
    strategy = parse_strategy(STRATEGY)
    with pytest.raises(Diverged, match="The loss is not a number in the first epoch; a lower learning_rate"):
        trained(strategy, material_of(strategy), spoil_after=0)


def test_a_learning_rate_beyond_reason_diverges_in_words() -> None:
    text = changed(
        decisions={"output_format": "regression"},
        training={
            "labels": {"source": "forward_return", "horizon": 2},
            "loss": "mse",
            "optimizer": "sgd",
            "learning_rate": 10.0,
        },
    )
    strategy = parse_strategy(text)
    with pytest.raises(Diverged, match="The loss is not a number"):
        trained(strategy, material_of(strategy))


@pytest.mark.parametrize("kind", ["mlp", "tsk", "gru"])
def test_what_can_be_learned_is_and_shuffled_labels_come_out_at_chance(kind: str) -> None:
    """The same rows with their labels drawn by lot teach nothing; with the true ones
    they do."""
    labels = {"source": "forward_return", "horizon": 1, "threshold": 0.004}
    halves = {"train": 0.5, "validation": 0.1, "test": 0.4}
    strategy = parse_strategy(
        with_training(kind, labels=labels, data_split=halves, class_weights="balanced", batch_size=256)
    )
    material = material_of(strategy, persistence=0.6, n=5000)
    random = np.random.default_rng(8)
    lots = {
        name: Rows(rows.row, random.permutation(rows.y), rows.weight) for name, rows in material.parts.items()
    }
    assert skill(strategy, material, trained(strategy, material), material.parts["test"]) > 1 / 3 + 0.08
    assert (
        abs(skill(strategy, material, trained(strategy, material, parts=lots), lots["test"]) - 1 / 3) < 0.08
    )


def with_training(kind: str, **keys: object) -> str:
    data = yaml.safe_load(KINDS[kind])
    data["training"] |= keys
    return str(yaml.safe_dump(data, sort_keys=False))


def skill(strategy: Strategy, material: Material, result: Trained, part: Rows) -> float:
    """Balanced accuracy."""
    data = Batches(torch.from_numpy(material.x), sequence_length(strategy.model))
    out = outputs(result.network, data, torch.from_numpy(part.row)).double()
    scores = classification_scores(torch.softmax(out, dim=1).numpy(), part.y.astype(np.int64))
    return float(scores["balanced_accuracy"])


def test_training_stops_after_the_epochs_of_patience_and_no_later() -> None:
    text = changed(training={"epochs": 60, "learning_rate": 0.1, "early_stopping": {"patience": 3}})
    strategy = parse_strategy(text)
    result = trained(strategy, material_of(strategy, persistence=0.0))
    losses = [epoch.validation_loss for epoch in result.history]
    assert result.stopped == "early_stopping"
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert result.epochs == result.best_epoch + 3
