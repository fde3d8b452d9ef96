"""The evidence of every trial for the verdict, as maxima over their daily returns: batches compute them, reports merge them.

The returns themselves would be 400 MB for 10,000 trials of 5,000 days, and simulating the trials again takes as long as the search.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.studies.statistics.snooping import Maxima, SnoopingTest
from workers.studies.statistics.walk_forward import FoldDays, Selection

Floats = NDArray[np.float64]

BLOCK = 128
"""Trials at a time. Each has the row of its number, and rows without a trial are zero: the last bits of a matrix product depend
on the place of a row and the number of rows, so this way they do not depend on the division into batches."""


@dataclass(slots=True)
class RunningEvidence:
    """The test for data snooping and the best trial of each fold, over the trials so far."""

    test: SnoopingTest
    selection: Selection
    _returns: Floats
    """float64[BLOCK, days]: of the trials that wait until their block is complete."""
    _waiting: list[int] = field(default_factory=list)
    """Their numbers."""

    @classmethod
    def of(cls, days: int, seed: int, folds: Sequence[FoldDays]) -> "RunningEvidence":
        return cls(SnoopingTest(days, seed), Selection.of(folds), np.zeros((BLOCK, days)))

    def add(self, number: int, returns: Floats) -> None:
        """Take in the daily returns of a trial, float64[days]. Numbers that rise use the fewest products."""
        if self._waiting and self._waiting[0] // BLOCK != number // BLOCK:
            self.flush()
        self._returns[number % BLOCK] = returns
        self._waiting.append(number)

    def add_all(self, trials: Iterable[tuple[int, Floats]]) -> None:
        for number, returns in trials:
            self.add(number, returns)
        self.flush()

    def flush(self) -> None:
        """Take in the trials that wait."""
        if not self._waiting:
            return
        first = self._waiting[0] // BLOCK * BLOCK
        self.test.add(self._returns, len(self._waiting))
        if self.selection.folds:
            self.selection.add(np.arange(first, first + BLOCK), self._returns)
        self._returns[:], self._waiting = 0.0, []

    def merge(self, content: bytes) -> bool:
        """Take in the evidence of other trials, as `to_bytes` returned it; return whether it is of the same folds."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            best = arrays["best"]
            if best.shape != self.selection.best.shape:
                return False
            mean, ratio = arrays["figures"].tolist()
            self.test.maxima.merge(Maxima(arrays["resampled"], mean, ratio, int(arrays["trials"])))
            self.selection.merge(Selection(self.selection.folds, best, *arrays["of_best"]))
        return True

    def to_bytes(self) -> bytes:
        self.flush()
        maxima, selection = self.test.maxima, self.selection
        buffer = io.BytesIO()
        np.savez(
            buffer,
            resampled=maxima.resampled,
            figures=np.array([maxima.best_mean, maxima.best_ratio]),
            trials=np.int64(maxima.trials),
            best=selection.best,
            of_best=np.array([selection.ratio, selection.mean]),
        )
        return buffer.getvalue()
