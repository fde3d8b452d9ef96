"""Compare training with a bare torch loop and one over a DataLoader, rules with an MLP, and two trainings with one.

The same network, rows, optimiser, loss and batch size on all sides, one thread, a validation pass after every
epoch; CPU seconds in one process, medians of interleaved rounds. The bare loop is the fastest that a few lines give: fused
optimiser, slices of shuffled tensors, no metrics; its weights must equal ours. Two at once are two processes with one
thread each, started together: rows per wall second of both and of a single one, medians of interleaved rounds.
Targets: at least 0.9 times the bare loop, 3.5 times the DataLoader with batches of 256 and 10 times with 4,096; rules at
least half the MLP's rate; two processes on two cores at least 1.8 times one.
"""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks._figures import print_figure
from benchmarks._race import ROUNDS, Run, compare, in_process, race
from workers.learning.batches import EVALUATION_BATCH, Rows
from workers.learning.networks import build_network
from workers.learning.trainer import start, train
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import MLPArchitecture, MLPModel, ModelSpec, TSKArchitecture, TSKModel
from workers.strategy.sections.training import Training

ROWS, HELD_OUT, INPUTS = 60_000, 10_000, 24
EPOCHS = 2
PAIR_EPOCHS = 12
MLP = MLPModel(type="mlp", architecture=MLPArchitecture(hidden_layers=(64, 32)))
RULES = TSKModel(type="tsk", architecture=TSKArchitecture(rules=16))


class SyntheticData:
    """Standard normal inputs; a few of them, with noise, determine the class."""

    def __init__(self) -> None:
        random = np.random.default_rng(3)
        self.x = random.standard_normal((ROWS + HELD_OUT, INPUTS)).astype(np.float32)
        score = self.x[:, 0] * self.x[:, 1] + self.x[:, 2] + random.standard_normal(len(self.x))
        self.y = np.digitize(score, (-0.6, 0.6)).astype(np.int64)

    def parts(self) -> dict[str, Rows]:
        rows = np.arange(len(self.x))
        return {
            name: Rows(row, self.y[row], np.ones(len(row), np.float32))
            for name, row in (("train", rows[:ROWS]), ("validation", rows[ROWS:]))
        }

    def tensors(self) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.x), torch.from_numpy(self.y)


def train_ours(data: SyntheticData, spec: ModelSpec, batch: int, epochs: int = EPOCHS) -> nn.Module:
    config = Training(labels=ForwardReturnLabels(source="forward_return"), batch_size=batch, epochs=epochs)
    return train(start(spec, config, data.x, data.parts(), seed=1, device=torch.device("cpu"))).network


def train_bare_loop(data: SyntheticData, spec: ModelSpec, batch: int) -> nn.Module:
    """Train with the fastest loop of a few lines."""
    x, y = data.tensors()
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    network = build_network(spec, INPUTS, 3)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, fused=True)
    loss, best, best_weights = nn.CrossEntropyLoss(), float("inf"), network.state_dict()
    for _ in range(EPOCHS):
        network.train()
        order = torch.randperm(ROWS, generator=generator)
        rows, classes = x[order], y[order]
        for first in range(0, ROWS, batch):
            optimizer.zero_grad()
            loss(network(rows[first : first + batch]), classes[first : first + batch]).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            parts = [network(part) for part in x[ROWS:].split(EVALUATION_BATCH)]
            held_out = float(loss(torch.cat(parts), y[ROWS:]))
        if held_out < best:
            best, best_weights = held_out, {k: v.clone() for k, v in network.state_dict().items()}
    network.load_state_dict(best_weights)
    return network


def check_equal(data: SyntheticData, batch: int) -> None:
    """Raise AssertionError unless the bare loop trains the same weights; only rounding may differ."""
    ours, theirs = train_ours(data, MLP, batch).state_dict(), train_bare_loop(data, MLP, batch).state_dict()
    for name, weights in theirs.items():
        torch.testing.assert_close(ours[name], weights, rtol=1e-3, atol=1e-4)


def train_data_loader(data: SyntheticData, spec: ModelSpec, batch: int) -> None:
    """Train with a loop as in a tutorial."""
    x, y = data.tensors()
    loader = DataLoader(TensorDataset(x[:ROWS], y[:ROWS]), batch_size=batch, shuffle=True)
    held_out = DataLoader(TensorDataset(x[ROWS:], y[ROWS:]), batch_size=batch)
    torch.manual_seed(1)
    network = build_network(spec, INPUTS, 3)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    loss = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        network.train()
        for rows, classes in loader:
            optimizer.zero_grad()
            value = loss(network(rows), classes)
            value.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            total = sum(float(loss(network(rows), classes)) * len(rows) for rows, classes in held_out)
        assert np.isfinite(total)


def one_of_a_pair() -> None:
    """Train once for each line of input, in a process of its own; print a line when ready and after each training."""
    torch.set_num_threads(1)
    data = SyntheticData()
    train_ours(data, MLP, 256, 1)
    print(flush=True)
    for _ in sys.stdin:
        train_ours(data, MLP, 256, PAIR_EPOCHS)
        print(flush=True)


def wall_seconds(processes: list["subprocess.Popen[str]"]) -> float:
    started = time.monotonic()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    return time.monotonic() - started


def pair() -> tuple[float, float]:
    """Return the median wall seconds of a single training and of two at once."""
    command = [sys.executable, "-m", "benchmarks.quant_training", "one-of-a-pair"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:
        processes = []
        for _ in range(2):
            process = stack.enter_context(
                subprocess.Popen(
                    command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            assert process.stdout
            process.stdout.readline()
            processes.append(process)
        rounds = [(wall_seconds(processes[:1]), wall_seconds(processes)) for _ in range(ROUNDS)]
    return median(single for single, _ in rounds), median(both for _, both in rounds)


def main() -> None:
    torch.set_num_threads(1)
    data, rows = SyntheticData(), ROWS * EPOCHS
    for batch, of_loader in ((256, 3.5), (4096, 10.0)):
        check_equal(data, batch)
        runs: dict[str, Run] = {
            "KTRDR": in_process(partial(train_ours, data, MLP, batch)),
            "the bare loop": in_process(partial(train_bare_loop, data, MLP, batch)),
            "torch DataLoader": in_process(partial(train_data_loader, data, MLP, batch)),
        }
        goals = {"the bare loop": 0.9, "torch DataLoader": of_loader}
        compare(f"rows of an MLP, batches of {batch}", race(runs), goals, count=rows)
    runs = {
        "KTRDR": in_process(partial(train_ours, data, RULES, 256)),
        "the MLP": in_process(partial(train_ours, data, MLP, 256)),
    }
    compare("rows of 16 rules, batches of 256", race(runs), {"the MLP": 0.5}, count=rows)
    single, both = pair()
    rate = 2 * ROWS * PAIR_EPOCHS / both
    print_figure(
        "two trainings at once", round(rate), "rows/s",
        peer="a single one", ratio=round(2 * single / both, 2), goal="ratio at least 1.8",
    )  # fmt: skip


if __name__ == "__main__":
    one_of_a_pair() if sys.argv[1:] == ["one-of-a-pair"] else main()
