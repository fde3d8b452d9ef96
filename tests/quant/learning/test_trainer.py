"""The training loop: NaN losses, shuffled labels, and early stopping."""

import math

import numpy as np
import pytest
import torch
import yaml

from tests.quant.learning.conftest import STRATEGY, synthetic
from tests.quant.learning.test_training_pipeline import KINDS, with_sections
from workers.learning.batches import Batches, Rows, outputs
from workers.learning.evaluation import classification_scores
from workers.learning.prepared_data import PreparedData, prepare_data
from workers.learning.trainer import start, train
from workers.learning.training_loop import Diverged, Epoch, State, TrainedNetwork
from workers.strategy.grammar import TrainedStrategy, parse_trained_strategy
from workers.strategy.sections.model import sequence_length

CPU = torch.device("cpu")


def prepare_synthetic(strategy: TrainedStrategy, persistence: float = 0.35, n: int = 1500) -> PreparedData:
    return prepare_data(strategy, {"AAA": {"1d": synthetic(0, n=n, persistence=persistence)}})


def train_network(
    strategy: TrainedStrategy,
    data: PreparedData,
    spoil_after: int | None = None,
    parts: dict[str, Rows] | None = None,
) -> TrainedNetwork:
    """Train; after the epoch `spoil_after` a weight becomes NaN."""

    def on_epoch(state: State, epoch: Epoch) -> bool:
        if epoch.epoch == spoil_after:
            spoil(state)
        return True

    def restore(state: State) -> None:
        if spoil_after == 0:
            spoil(state)

    loop = start(
        strategy.model,
        strategy.training,
        data.x,
        data.parts if parts is None else parts,
        seed=3,
        device=CPU,
        label_scale=data.label_scale,
        restore=restore,
        on_epoch=on_epoch,
    )
    return train(loop)


def spoil(state: State) -> None:
    with torch.no_grad():
        next(state.network.parameters()).view(-1)[0] = math.nan


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_loss_ends_the_training_and_the_best_epoch_is_kept(kind: str) -> None:
    """Lessons Q27, Q29: later epochs are not run, and the model is the same as without them."""
    strategy = parse_trained_strategy(KINDS[kind])
    data = prepare_synthetic(strategy)
    complete = train_network(strategy, data)
    diverged = train_network(strategy, data, spoil_after=3)
    assert diverged.stopped == "diverged"
    assert diverged.history == complete.history[:3]
    best = min(diverged.history, key=lambda epoch: epoch.validation_loss)
    assert diverged.best_epoch == best.epoch
    shorter = train_network(parse_trained_strategy(KINDS[kind].replace("epochs: 6", "epochs: 3")), data)
    for name, tensor in shorter.network.state_dict().items():
        torch.testing.assert_close(diverged.network.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_nan_loss_in_the_first_epoch_gives_a_clear_error() -> None:
    """Lesson Q27: no epoch can be kept."""
    strategy = parse_trained_strategy(STRATEGY)
    with pytest.raises(
        Diverged, match="The loss is NaN or infinite in the first epoch; try a lower learning_rate"
    ):
        train_network(strategy, prepare_synthetic(strategy), spoil_after=0)


def test_an_extreme_learning_rate_gives_a_clear_error() -> None:
    text = with_sections(
        decisions={"output_format": "regression"},
        training={
            "labels": {"source": "forward_return", "horizon": 2},
            "loss": "mse",
            "optimizer": "sgd",
            "learning_rate": 10.0,
        },
    )
    strategy = parse_trained_strategy(text)
    with pytest.raises(Diverged, match="The loss is NaN or infinite"):
        train_network(strategy, prepare_synthetic(strategy))


@pytest.mark.parametrize("kind", ["mlp", "tsk", "gru"])
def test_true_labels_are_learned_and_shuffled_labels_are_not(kind: str) -> None:
    """The same rows give skill with their true labels, but none with permuted labels."""
    labels = {"source": "forward_return", "horizon": 1, "threshold": 0.004}
    halves = {"train": 0.5, "validation": 0.1, "test": 0.4}
    strategy = parse_trained_strategy(
        with_training(kind, labels=labels, data_split=halves, class_weights="balanced", batch_size=256)
    )
    data = prepare_synthetic(strategy, persistence=0.6, n=5000)
    random = np.random.default_rng(8)
    shuffled = {
        name: Rows(rows.row, random.permutation(rows.y), rows.weight) for name, rows in data.parts.items()
    }
    assert skill(strategy, data, train_network(strategy, data), data.parts["test"]) > 1 / 3 + 0.08
    assert (
        abs(skill(strategy, data, train_network(strategy, data, parts=shuffled), shuffled["test"]) - 1 / 3)
        < 0.08
    )


def with_training(kind: str, **keys: object) -> str:
    data = yaml.safe_load(KINDS[kind])
    data["training"] |= keys
    return str(yaml.safe_dump(data, sort_keys=False))


def skill(strategy: TrainedStrategy, data: PreparedData, result: TrainedNetwork, part: Rows) -> float:
    """Balanced accuracy."""
    batches = Batches(torch.from_numpy(data.x), sequence_length(strategy.model))
    out = outputs(result.network, batches, torch.from_numpy(part.row)).double()
    scores = classification_scores(torch.softmax(out, dim=1).numpy(), part.y.astype(np.int64))
    return float(scores["balanced_accuracy"])


def test_training_stops_exactly_after_the_epochs_of_patience() -> None:
    text = with_sections(training={"epochs": 60, "learning_rate": 0.1, "early_stopping": {"patience": 3}})
    strategy = parse_trained_strategy(text)
    result = train_network(strategy, prepare_synthetic(strategy, persistence=0.0))
    losses = [epoch.validation_loss for epoch in result.history]
    assert result.stopped == "early_stopping"
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert result.epochs == result.best_epoch + 3
