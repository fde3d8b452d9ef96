"""The daily returns of all trials of a study: simulated again where that is cheap, otherwise those that batches kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.studies.evaluation import Evaluator
from workers.studies.evidence import Stream
from workers.studies.threads import map_trials
from workers.studies.trial_table import TrialTable

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

CHUNK = 256
"""Trials at a time: 10 MB with 5,000 days."""
MAX_CPU_S = 300.0
"""More work is not repeated; the kept returns stand for all."""


@dataclass(frozen=True, slots=True)
class Returns:
    stream: Stream
    is_complete: bool
    """Whether the stream contains every trial that it is asked for."""


def returns_of(table: TrialTable, evaluator: Evaluator | None) -> Returns:
    """Return the source of daily returns. `evaluator`: None for trials that cannot be simulated again."""
    if evaluator is not None and float(table.cpu_ms.sum()) / 1e3 <= MAX_CPU_S:
        return Returns(lambda numbers: _simulate(table, evaluator, numbers), True)
    complete = set(table.numbers[table.with_returns()].tolist()) <= set(table.kept)
    return Returns(lambda numbers: _read(table, numbers), complete)


def _simulate(table: TrialTable, evaluator: Evaluator, numbers: Numbers) -> Iterator[tuple[Numbers, Floats]]:
    places = np.searchsorted(table.numbers, numbers)
    trials = (table.trial(int(place)) for place in places)
    runs = map_trials(evaluator.returns, trials, evaluator.market.bars)
    for first in range(0, len(numbers), CHUNK):
        part = numbers[first : first + CHUNK]
        yield part, np.array([next(runs) for _ in part])


def _read(table: TrialTable, numbers: Numbers) -> Iterator[tuple[Numbers, Floats]]:
    known = np.array([number for number in numbers.tolist() if number in table.kept], np.int64)
    for first in range(0, len(known), CHUNK):
        part = known[first : first + CHUNK]
        yield part, np.array([table.kept[number] for number in part.tolist()], np.float64)
