"""Compare training with a plain torch loop over a DataLoader, rules with an MLP, and two trainings at once with one.

The same network, rows, optimiser, loss and batch size on both sides, one thread, a validation pass after every
epoch; CPU seconds, best of interleaved rounds in one process. Two at once are two processes with one thread each,
started together: rows per wall second of both and of a single one, best of interleaved rounds.
Targets: at least 3.5 times the plain loop with batches of 256 and 10 times with 4,096; rules at least half the MLP's
rate; two processes on two cores at least 1.8 times one.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from workers.learning.batches import Rows
from workers.learning.networks import build_network
from workers.learning.trainer import train
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import MLPArchitecture, MLPModel, ModelSpec, TSKArchitecture, TSKModel
from workers.strategy.sections.training import Training

ROWS, HELD_OUT, INPUTS = 60_000, 10_000, 24
EPOCHS = 2
ROUNDS = 5
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


def train_ours(data: SyntheticData, spec: ModelSpec, batch: int, epochs: int = EPOCHS) -> None:
    config = Training(labels=ForwardReturnLabels(source="forward_return"), batch_size=batch, epochs=epochs)
    train(spec, config, data.x, data.parts(), seed=1, device=torch.device("cpu"))


def train_plain_loop(data: SyntheticData, spec: ModelSpec, batch: int) -> None:
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


def figure(benchmark: str, value: float, unit: str, peer_name: str, ratio: float) -> None:
    result = {"benchmark": benchmark, "value": round(value, 1), "unit": unit, "peer": peer_name}
    print(json.dumps({**result, "ratio": round(ratio, 2)}), flush=True)


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def race(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Return the best CPU seconds of each, in interleaved rounds after one for warm-up."""
    first(), second()
    pairs = [(cpu_seconds(first), cpu_seconds(second)) for _ in range(ROUNDS)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


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
    """Return the best wall seconds of a single training and of two at once."""
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
    return min(single for single, _ in rounds), min(both for _, both in rounds)


def main() -> None:
    torch.set_num_threads(1)
    data = SyntheticData()
    for batch in (256, 4096):
        mine, other = race(partial(train_ours, data, MLP, batch), partial(train_plain_loop, data, MLP, batch))
        rate = ROWS * EPOCHS / mine
        figure(f"training an MLP, batches of {batch}", rate, "rows/CPU s", "torch DataLoader", other / mine)
    rules, network = race(partial(train_ours, data, RULES, 256), partial(train_ours, data, MLP, 256))
    figure(
        "training 16 rules, batches of 256",
        ROWS * EPOCHS / rules,
        "rows/CPU s",
        "the MLP",
        network / rules,
    )
    single, both = pair()
    rate = 2 * ROWS * PAIR_EPOCHS / both
    figure("two trainings at once", rate, "rows/s", "a single one", 2 * single / both)


if __name__ == "__main__":
    one_of_a_pair() if sys.argv[1:] == ["one-of-a-pair"] else main()
