"""Compare trainings that run as one batched computation with the same ones one after the other; the results must be equal.

Networks of one shape (20 inputs, 32 and 16 hidden, 3,000 rows, batches of 256) with learning rates, seeds and rows of their
own; one thread, CPU seconds in one process, medians of interleaved rounds. One network has nothing to be stacked with.
Target: 1.6 times from 8 networks on.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks._race import compare, in_process, race
from workers.learning.batches import Rows
from workers.learning.stacked_training import Waiting, train_together
from workers.learning.trainer import start, train
from workers.learning.training_loop import Loop, TrainedNetwork
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import MLPArchitecture, MLPModel
from workers.strategy.sections.training import Training

ROWS, HELD_OUT, INPUTS, EPOCHS, ROUNDS = 3_000, 500, 20, 3, 3
NETWORKS = (1, 8, 64)
GOAL = 1.6
Start = Callable[[], Loop]


def training(number: int, dropout: float) -> Start:
    """Return a function that starts training `number`: standard normal inputs, a few of which determine the class."""
    random = np.random.default_rng(number)
    x = random.standard_normal((ROWS + HELD_OUT, INPUTS)).astype(np.float32)
    score = x[:, 0] * x[:, 1] + x[:, 2] + random.standard_normal(len(x))
    y = np.digitize(score, (-0.6, 0.6)).astype(np.int64)
    rows = np.arange(len(x))
    parts = {
        name: Rows(row, y[row], np.ones(len(row), np.float32))
        for name, row in (("train", rows[:ROWS]), ("validation", rows[ROWS:]))
    }
    rate = 0.0005 * (1 + number)
    config = Training(labels=ForwardReturnLabels(source="forward_return"), epochs=EPOCHS, learning_rate=rate)
    spec = MLPModel(type="mlp", architecture=MLPArchitecture(hidden_layers=(32, 16), dropout=dropout))
    return partial(start, spec, config, x, parts, seed=number, device=torch.device("cpu"))


def train_stacked(starts: list[Start]) -> list[Any]:
    results: list[Any] = []
    train_together([Waiting("one shape", each, results.append) for each in starts])
    return results


def train_one_by_one(starts: list[Start]) -> list[TrainedNetwork]:
    return [train(each()) for each in starts]


def check_equal(starts: list[Start]) -> None:
    """Raise AssertionError unless the networks have the same bits."""
    for ours, alone in zip(train_stacked(starts), train_one_by_one(starts), strict=True):
        weights = alone.network.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in ours.network.state_dict().items())


def main() -> None:
    torch.set_num_threads(1)
    for networks, dropout in (*((count, 0.0) for count in NETWORKS), (NETWORKS[-1], 0.1)):
        starts = [training(number, dropout) for number in range(networks)]
        check_equal(starts)
        runs = {
            "stacked": in_process(partial(train_stacked, starts)),
            "one after the other": in_process(partial(train_one_by_one, starts)),
        }
        name = f"trainings of {networks} networks together" + (", with dropout" if dropout else "")
        goals = {"one after the other": GOAL} if networks > 1 else None
        compare(name, race(runs, ROUNDS), goals, count=networks)


if __name__ == "__main__":
    main()
