"""The daily returns of trials: simulated again, or of trainings those that batches kept; and the evidence of all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.studies.evaluation import Evaluator
from workers.studies.messages import EVIDENCE_FILE, ReportParameters
from workers.studies.running_evidence import RunningEvidence
from workers.studies.statistics.walk_forward import FoldDays
from workers.studies.threads import map_trials
from workers.studies.trial_table import TrialTable

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

MAX_CPU_S = 300.0
"""A search that took longer is not simulated again as a whole; the kept returns stand for all."""


@dataclass(frozen=True, slots=True)
class Returns:
    table: TrialTable
    evaluator: Evaluator | None
    """None for trials that cannot be simulated again."""

    def of(self, numbers: Numbers) -> Iterator[tuple[int, Floats]]:
        """Yield (number, float64[days]) of the trials in their order; of trainings only where they were kept."""
        return (
            self.simulate(self.evaluator, numbers) if self.evaluator is not None else self.read_kept(numbers)
        )

    def simulate(self, evaluator: Evaluator, numbers: Numbers) -> Iterator[tuple[int, Floats]]:
        trials = [self.table.trial(int(place)) for place in np.searchsorted(self.table.numbers, numbers)]
        return zip(
            numbers.tolist(), map_trials(evaluator.returns, trials, evaluator.market.bars), strict=True
        )

    def read_kept(self, numbers: Numbers) -> Iterator[tuple[int, Floats]]:
        kept = self.table.kept
        return ((number, kept[number].astype(np.float64)) for number in numbers.tolist() if number in kept)


def evidence_of(
    parameters: ReportParameters, files: Mapping[str, Path], returns: Returns, folds: Sequence[FoldDays]
) -> tuple[RunningEvidence, bool]:
    """Return the evidence of all trials with returns, and whether it lacks none of them.

    It is merged from that of the batches; otherwise from returns, as of batches that an earlier version ran.
    """
    table = returns.table
    evidence = RunningEvidence.of(table.days, parameters.seed, folds)
    numbers = table.numbers[table.with_returns()]
    if _merge(evidence, parameters, files) and evidence.test.maxima.trials == len(numbers):
        return evidence, True
    evidence = RunningEvidence.of(table.days, parameters.seed, folds)
    evaluator = returns.evaluator
    if evaluator is not None and float(table.cpu_ms.sum()) / 1e3 <= MAX_CPU_S:
        evidence.add_all(returns.simulate(evaluator, numbers))
        return evidence, True
    evidence.add_all(returns.read_kept(numbers))
    return evidence, set(numbers.tolist()) <= set(table.kept)


def _merge(evidence: RunningEvidence, parameters: ReportParameters, files: Mapping[str, Path]) -> bool:
    """Take in the evidence of all batches; return whether each has left one that fits."""
    paths = [files.get(f"{batch.name}/{EVIDENCE_FILE}") for batch in parameters.batches]
    return all(path is not None and evidence.merge(path.read_bytes()) for path in paths)
