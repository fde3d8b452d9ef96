"""A finalist on the folds of `finalists.validation`: its windows, or the paths joined from its folds."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.learning.folds import group_ranges
from workers.studies import out_of_sample
from workers.studies.fold_days import days_in, fold_days
from workers.studies.market import Market
from workers.studies.messages import Trial, TrialState
from workers.studies.sections import CombinatorialPurged, Validation
from workers.studies.training_progress import Progress, key_of
from workers.studies.training_trials import OnEpoch, TrainingEvaluator

Floats = NDArray[np.float64]


def validate(
    evaluator: TrainingEvaluator, validation: Validation, trial: Trial, progress: Progress, on_epoch: OnEpoch
) -> dict[str, Any]:
    """Train and trade the trial on each fold; with several seeds a day has the mean return. Raises InvalidInput, Stopped."""
    outcome = evaluator.evaluate(trial, progress, on_epoch)
    if outcome.state is not TrialState.COMPLETED:
        raise InvalidInput(f"The validation of trial {trial.number} failed: {outcome.error}")
    seeds = range(evaluator.bound.study.repeat.seeds)
    returns = [
        np.mean([progress.runs[key_of(fold, seed)].daily for seed in seeds], axis=0)
        for fold in range(len(evaluator.folds))
    ]
    section: dict[str, Any] = {"folds": list(outcome.of_folds), "value": outcome.value}
    if isinstance(validation, CombinatorialPurged):
        return section | {"paths": _paths(evaluator, validation, returns)}
    return section | {"walk_forward": _windows(evaluator.market, validation, trial, returns)}


def _paths(
    evaluator: TrainingEvaluator, scheme: CombinatorialPurged, returns: Sequence[Floats]
) -> dict[str, Any]:
    """Divide the returns of each fold among its test groups and join them to paths."""
    market = evaluator.market
    groups = [days_in((ranges,), market) for ranges in group_ranges(market.times, scheme.groups)]
    parts = {}
    for fold, chosen in enumerate(itertools.combinations(range(scheme.groups), scheme.test_groups)):
        for group in chosen:
            parts[fold, group] = returns[fold][groups[group][evaluator.days[fold]]]
    return out_of_sample.join_paths(parts, scheme, market)


def _windows(
    market: Market, validation: Validation, trial: Trial, returns: Sequence[Floats]
) -> dict[str, Any]:
    """Describe each fold as a window in which the trial was trained and tested."""
    daily, tested, windows = np.zeros(len(market.days)), np.zeros(len(market.days), np.bool_), []
    for fold, part in zip(fold_days(validation, market), returns, strict=True):
        daily[fold.test], tested = part, tested | fold.test
        windows.append(out_of_sample.describe_window(fold, trial, part, market))
    return out_of_sample.join_windows(windows, daily, tested, market)
