"""Training against a plain torch loop over a DataLoader, rules against an MLP, and two trainings at once.

The same network, rows, optimiser, loss and batch size on both sides, one thread, a validation pass after every
epoch; CPU seconds, best of interleaved rounds in one process. Two at once are two processes with one thread each,
started together: rows a wall second of both, against one alone, best of interleaved rounds.
Targets: at least 3.5 times the plain loop at batches of 256 and 10 times at 4,096; rules at half the MLP's rate or
better; two processes on two cores at least 1.8 times one.
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
from workers.learning.networks import ModelSpec, build_network
from workers.learning.trainer import train
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import MLPArchitecture, MLPModel, TSKArchitecture, TSKModel
from workers.strategy.sections.training import Training

ROWS, HELD_OUT, INPUTS = 60_000, 10_000, 24
EPOCHS = 2
ROUNDS = 5
PAIR_EPOCHS = 12
MLP = MLPModel(type="mlp", architecture=MLPArchitecture(hidden_layers=(64, 32)))
RULES = TSKModel(type="tsk", architecture=TSKArchitecture(rules=16))


class Material:
    """Standard normal inputs; classes that a few of them decide, with noise."""

    def __init__(self) -> None:
        random = np.random.default_rng(3)
        self.x = random.standard_normal((ROWS + HELD_OUT, INPUTS)).astype(np.float32)
        score = self.x[:, 0] * self.x[:, 1] + self.x[:, 2] + random.standard_normal(len(self.x))
        self.y = np.digitize(score, (-0.6, 0.6)).astype(np.int64)

    def parts(self) -> dict[str, Rows]:
        whole = np.arange(len(self.x))
        return {
            name: Rows(row, self.y[row], np.ones(len(row), np.float32))
            for name, row in (("train", whole[:ROWS]), ("validation", whole[ROWS:]))
        }

    def tensors(self) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.x), torch.from_numpy(self.y)


def ours(material: Material, spec: ModelSpec, batch: int, epochs: int = EPOCHS) -> None:
    config = Training(labels=ForwardReturnLabels(source="forward_return"), batch_size=batch, epochs=epochs)
    train(spec, config, material.x, material.parts(), seed=1, device=torch.device("cpu"))


def plain(material: Material, spec: ModelSpec, batch: int) -> None:
    """As a tutorial writes it."""
    x, y = material.tensors()
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
    said = {"benchmark": benchmark, "value": round(value, 1), "unit": unit, "peer": peer_name}
    print(json.dumps({**said, "ratio": round(ratio, 2)}), flush=True)


def cpu_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def race(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Best CPU seconds of each, in interleaved rounds after one for warming up."""
    first(), second()
    pairs = [(cpu_seconds(first), cpu_seconds(second)) for _ in range(ROUNDS)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def one_of_a_pair() -> None:
    """In a process of its own: trains once for each line of input, and says when it is ready and when it is done."""
    torch.set_num_threads(1)
    material = Material()
    ours(material, MLP, 256, 1)
    print(flush=True)
    for _ in sys.stdin:
        ours(material, MLP, 256, PAIR_EPOCHS)
        print(flush=True)


def wall_seconds(processes: list["subprocess.Popen[str]"]) -> float:
    begun = time.monotonic()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    return time.monotonic() - begun


def pair() -> tuple[float, float]:
    """Best wall seconds of one training alone and of two at once."""
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
    return min(alone for alone, _ in rounds), min(both for _, both in rounds)


def main() -> None:
    torch.set_num_threads(1)
    material = Material()
    for batch in (256, 4096):
        mine, other = race(partial(ours, material, MLP, batch), partial(plain, material, MLP, batch))
        rate = ROWS * EPOCHS / mine
        figure(f"training an MLP, batches of {batch}", rate, "rows/CPU s", "torch DataLoader", other / mine)
    rules, network = race(partial(ours, material, RULES, 256), partial(ours, material, MLP, 256))
    figure(
        "training 16 rules, batches of 256",
        ROWS * EPOCHS / rules,
        "rows/CPU s",
        "the MLP",
        network / rules,
    )
    alone, both = pair()
    rate = 2 * ROWS * PAIR_EPOCHS / both
    figure("two trainings at once", rate, "rows/s", "one alone", 2 * alone / both)


if __name__ == "__main__":
    one_of_a_pair() if sys.argv[1:] == ["one-of-a-pair"] else main()
