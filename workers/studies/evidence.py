"""Collect the evidence about a study's winner: deflation, overfitting, data snooping, plateau, walk-forward, paths."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.studies.statistics.deflation import Deflation, deflate
from workers.studies.statistics.overfitting import Overfitting, estimate_overfitting
from workers.studies.statistics.plateau import Plateau, measure_plateau
from workers.studies.statistics.snooping import Snooping, SnoopingTest
from workers.studies.statistics.walk_forward import FoldDays, Selection
from workers.studies.trial_table import TrialTable

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Stream = Callable[[Numbers], Iterator[tuple[Numbers, Floats]]]
"""Yields (numbers, daily returns float64[k, days]) of the trials, some at a time, in their order."""


@dataclass(frozen=True, slots=True)
class Statistics:
    deflation: Deflation | None
    overfitting: Overfitting | None
    snooping: Snooping | None
    plateau: Plateau | None
    selection: Selection
    """The best trial of each fold."""


def collect(
    table: TrialTable,
    winner: int | None,
    winner_returns: Floats | None,
    stream: Stream,
    folds: Sequence[FoldDays],
    counted_before: int,
    seed: int,
) -> Statistics:
    """Pass once over the daily returns of all trials. `winner`: its position in the table."""
    rows = table.with_returns()
    test, selection = SnoopingTest(table.days, seed), Selection.of(folds)
    for numbers, returns in stream(table.numbers[rows]):
        test.add(returns)
        if folds:
            selection.add(numbers, returns)
    snooping, deflation = test.result(), None
    if winner_returns is not None:
        # A failed trial was tried as well.
        trials, expected = counted_before + len(table.numbers), snooping.expected_best if snooping else None
        deflation = deflate(winner_returns, expected, test.trials, trials)
    return Statistics(
        deflation,
        estimate_overfitting(np.ascontiguousarray(table.moments[rows]), table.days),
        snooping,
        None
        if winner is None
        else measure_plateau(table.points, table.values, table.numbers.tolist(), winner),
        selection,
    )
