"""Out of sample: walk-forward windows, paths of a combinatorial validation, the holdout, and worse conditions."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.backtesting import metrics
from workers.backtesting.downsample import pick_points
from workers.backtesting.engine_rules import MAX_COST
from workers.learning.folds import group_ranges, paths
from workers.studies.evaluation import Evaluator
from workers.studies.fold_days import days_in
from workers.studies.market import Market
from workers.studies.messages import Trial
from workers.studies.report_tables import number_or_none
from workers.studies.scores import Measured, measure, score
from workers.studies.sections import CombinatorialPurged
from workers.studies.segments import segment_returns
from workers.studies.statistics.walk_forward import FoldDays, Selection, efficiency, path_distribution
from workers.studies.trial_table import TrialTable

Floats = NDArray[np.float64]

CURVE_POINTS = 500
MAX_PATHS = 100
FIGURES = ("sharpe", "total_return", "max_drawdown", "trades")


def annual_sharpe(daily: Floats, per_year: float) -> float | None:
    ratio = metrics.sharpe(daily)
    return None if ratio is None else ratio * math.sqrt(per_year)


def curve(daily: Floats, days: NDArray[np.datetime64]) -> dict[str, Any]:
    """Return the growth of 1 at the end of each day, with at most 500 points that draw it."""
    growth: Floats = np.cumprod(1.0 + daily, dtype=np.float64)
    picked = pick_points(growth, CURVE_POINTS)
    return {"time": [str(day) for day in days[picked]], "growth": growth[picked].tolist()}


def walk_forward_section(
    evaluator: Evaluator, table: TrialTable, folds: Sequence[FoldDays], selection: Selection
) -> dict[str, Any]:
    """Trade the winner of each training window in the test window after it. The windows follow each other."""
    market, means, windows = evaluator.market, np.full(len(folds), math.nan), []
    daily, tested = np.zeros(len(market.days)), np.zeros(len(market.days), np.bool_)
    for position, fold in enumerate(folds):
        number = int(selection.best[position])
        if number < 0 or not fold.test.any():
            continue
        trial = table.trial(int(np.searchsorted(table.numbers, number)))
        part = segment_returns(evaluator, trial, fold.test)
        daily[fold.test], means[position] = part, part.mean()
        tested |= fold.test
        train_sharpe = number_or_none(selection.ratio[position] * math.sqrt(market.per_year))
        windows.append(describe_window(fold, trial, part, market, train_sharpe))
    return join_windows(windows, daily, tested, market, efficiency(selection, means))


def describe_window(
    fold: FoldDays, trial: Trial, returns: Floats, market: Market, train_sharpe: float | None = None
) -> dict[str, Any]:
    """Return one window of a walk-forward. `returns`: the trial's on its test days; `train_sharpe`: annual."""
    return {
        "train": _span(fold.train, market.days),
        "test": _span(fold.test, market.days),
        "number": trial.number,
        "point": trial.point,
        "train_sharpe": train_sharpe,
        "test_sharpe": annual_sharpe(returns, market.per_year),
        "test_return": float(np.prod(1.0 + returns) - 1.0),
    }


def join_windows(
    windows: Sequence[dict[str, Any]],
    daily: Floats,
    tested: NDArray[np.bool_],
    market: Market,
    efficiency: float | None = None,
) -> dict[str, Any]:
    """Return the windows with the figures of their joined test days; `daily`, `tested`: one entry per day of the market."""
    stitched = daily[tested]
    return {
        "windows": list(windows),
        "efficiency": efficiency,
        "sharpe": annual_sharpe(stitched, market.per_year) if len(stitched) else None,
        "curve": curve(stitched, market.days[tested]) if len(stitched) else None,
    }


def _span(days: NDArray[np.bool_], dates: NDArray[np.datetime64]) -> list[str]:
    inside = np.flatnonzero(days)
    return [str(dates[inside[0]]), str(dates[inside[-1]])] if len(inside) else []


def paths_section(
    evaluator: Evaluator, table: TrialTable, scheme: CombinatorialPurged, selection: Selection
) -> dict[str, Any]:
    """Return the distribution over the paths, each joined from the test groups of its folds.

    In each fold the trial that is best outside the test groups trades each of them, flat at their borders.
    """
    market = evaluator.market
    groups = [days_in((ranges,), market) for ranges in group_ranges(market.times, scheme.groups)]
    choices = list(itertools.combinations(range(scheme.groups), scheme.test_groups))
    returns: dict[tuple[int, int], Floats] = {}
    segments: dict[tuple[int, int], Floats] = {}
    for fold, chosen in enumerate(choices):
        number = int(selection.best[fold])
        for group in chosen:
            if (number, group) not in segments:
                segments[number, group] = _segment_of(evaluator, table, number, groups[group])
            returns[fold, group] = segments[number, group]
    return join_paths(returns, scheme, market)


def join_paths(
    returns: Mapping[tuple[int, int], Floats], scheme: CombinatorialPurged, market: Market
) -> dict[str, Any]:
    """Return the distribution over the paths. `returns`: those of each (fold, test group), float64[days of the group]."""
    joined = np.array(
        [
            np.concatenate([returns[fold, group] for group, fold in enumerate(path)])
            for path in paths(scheme.groups, scheme.test_groups)[:MAX_PATHS]
        ]
    )
    distribution = path_distribution(joined, market.per_year)
    section: dict[str, Any] = {
        "groups": scheme.groups,
        "test_groups": scheme.test_groups,
        "folds": comb(scheme.groups, scheme.test_groups),
    }
    if distribution is None:
        return section | {"sharpes": None}
    growth = np.cumprod(1.0 + joined, axis=1)
    picked = pick_points(np.median(growth, axis=0), CURVE_POINTS)
    low, middle, high = np.quantile(growth[:, picked], (0.05, 0.5, 0.95), axis=0)
    return section | {
        "sharpes": distribution.sharpes.tolist(),
        "low": distribution.low,
        "median": distribution.median,
        "high": distribution.high,
        "loss_probability": distribution.loss_probability,
        "fan": {
            "time": [str(day) for day in market.days[picked]],
            "low": low.tolist(),
            "median": middle.tolist(),
            "high": high.tolist(),
        },
    }


def _segment_of(evaluator: Evaluator, table: TrialTable, number: int, days: NDArray[np.bool_]) -> Floats:
    if number < 0:
        return np.zeros(int(days.sum()))
    return segment_returns(evaluator, table.trial(int(np.searchsorted(table.numbers, number))), days)


def figures(part: Measured) -> dict[str, float | None]:
    return {name: score(part, name) for name in FIGURES}


def stress_section(evaluator: Evaluator, trial: Trial) -> dict[str, Any]:
    """Return the winner's figures with doubled costs, and with every decision one bar later."""
    directions, rules = evaluator.decide(trial)
    doubled = replace(
        rules,
        commission=min(MAX_COST, 2 * rules.commission),
        slippage=min(MAX_COST, 2 * rules.slippage),
        spread=None if rules.spread is None else min(MAX_COST, 2 * rules.spread),
    )
    later = [np.concatenate((np.zeros(1, np.int8), target[:-1])) for target in directions]
    runs = {
        "as_searched": evaluator.simulator.run(directions, rules),
        "doubled_costs": evaluator.simulator.run(directions, doubled),
        "one_bar_later": evaluator.simulator.run(later, rules),
    }
    return {name: figures(measure(run, evaluator.market)) for name, run in runs.items()}


def holdout_rows(evaluator: Evaluator, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return the figures of trials on the market of the holdout, with the curve of the first one, the winner."""
    rows = []
    for place, trial in enumerate(trials):
        run = evaluator.simulate(trial)
        row: dict[str, Any] = {"number": trial.number, **figures(measure(run, evaluator.market))}
        rows.append(row if place else row | {"curve": curve(run.daily, evaluator.market.days)})
    return rows
