"""Collect the evidence about a study's winner: deflation, overfitting, data snooping, plateau, walk-forward, paths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.studies.running_evidence import RunningEvidence
from workers.studies.statistics.deflation import Deflation, deflate
from workers.studies.statistics.overfitting import Overfitting, estimate_overfitting
from workers.studies.statistics.plateau import Plateau, measure_plateau
from workers.studies.statistics.snooping import Snooping
from workers.studies.statistics.walk_forward import Selection
from workers.studies.trial_table import TrialTable

Floats = NDArray[np.float64]


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
    evidence: RunningEvidence,
    counted_before: int,
) -> Statistics:
    """Judge the winner, `winner` in the table, with daily returns float64[days], by the evidence of all trials."""
    rows, snooping, deflation = table.with_returns(), evidence.test.result(), None
    if winner_returns is not None:
        # A failed trial was tried as well.
        trials, expected = counted_before + len(table.numbers), snooping.expected_best if snooping else None
        deflation = deflate(winner_returns, expected, evidence.test.maxima.trials, trials)
    return Statistics(
        deflation,
        estimate_overfitting(np.ascontiguousarray(table.moments[rows]), table.days),
        snooping,
        None
        if winner is None
        else measure_plateau(table.points, table.values, table.numbers.tolist(), winner),
        evidence.selection,
    )
