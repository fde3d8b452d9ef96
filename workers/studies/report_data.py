"""The study as its report reads it: trials of all batches, the market, and what the winner is tested on."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.learning.folds import BadFolds
from workers.resumable_job import ResumableJob
from workers.studies.binding import BoundStudy
from workers.studies.evaluation import Evaluator
from workers.studies.fold_days import fold_days
from workers.studies.market import load_market
from workers.studies.messages import FINALIST_FILE, ReportParameters
from workers.studies.returns_stream import Returns, returns_of
from workers.studies.run import bind_study, direction_source
from workers.studies.sections import CombinatorialPurged, Finalists, WalkForward
from workers.studies.statistics.walk_forward import FoldDays
from workers.studies.trial_table import TrialTable, read_trials

Floats = NDArray[np.float64]

DEFAULT_WINDOWS = 5
DEFAULT_PATHS = CombinatorialPurged(scheme="cpcv")


@dataclass(frozen=True)
class Study:
    """Everything that the parts of the report read."""

    parameters: ReportParameters
    bound: BoundStudy
    table: TrialTable
    ranking: NDArray[np.intp]
    evaluator: Evaluator | None
    """None for trainings, which are not repeated."""
    returns: Returns
    windows: list[FoldDays]
    """Of the walk-forward selection."""
    paths: CombinatorialPurged | None
    path_folds: list[FoldDays]
    per_year: float
    tested: list[dict[str, Any]]
    """Of a study of trainings: the files of its finalists, in the order of the ranking."""

    @property
    def winner(self) -> int | None:
        """Position of the winner in the table."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @property
    def finalists(self) -> list[int]:
        section = self.bound.study.finalists or Finalists()
        return [int(at) for at in self.ranking[: section.count]]

    def winner_returns(self) -> Floats | None:
        """Return the winner's daily returns; None without a winner, or where they were not kept."""
        if self.winner is None:
            return None
        number = np.array([self.table.numbers[self.winner]])
        rows = [row for _, returns in self.returns.stream(number) for row in returns]
        return rows[0] if rows else None


def load_study(parameters: ReportParameters, job: ResumableJob) -> Study:
    """Read the trials and the bars of the search. Raises InvalidInput."""
    bound = bind_study(parameters.study_yaml, parameters.strategy_yaml)
    table = read_trials(parameters.batches, job.inputs)
    market = load_market(bound.strategy, parameters, job.inputs)
    ranking = table.ranking(maximize=bound.study.objective.maximize)
    evaluator = None
    if parameters.kind != "training":
        evaluator = Evaluator(bound, market, direction_source(parameters, bound, market, job.inputs))
    windows, paths, path_folds = [], None, []
    if evaluator is not None:
        section = bound.study.finalists
        chosen = section.validation if section else None
        paths = chosen if isinstance(chosen, CombinatorialPurged) else DEFAULT_PATHS
        windows = _folds_or_none(_windows_of(bound, len(market.times)), evaluator)
        path_folds = _folds_or_none(paths, evaluator)
    return Study(
        parameters,
        bound,
        table,
        ranking,
        evaluator,
        returns_of(table, evaluator),
        windows,
        paths if path_folds else None,
        path_folds,
        market.per_year,
        _read_finalists(parameters, table.numbers[ranking].tolist(), job),
    )


def _read_finalists(
    parameters: ReportParameters, ranked: list[int], job: ResumableJob
) -> list[dict[str, Any]]:
    files = [job.inputs[f"{name}/{FINALIST_FILE}"] for name in parameters.finalists]
    finalists = {row["number"]: row for row in (json.loads(file.read_bytes()) for file in files)}
    return [finalists[number] for number in ranked if number in finalists]


def _windows_of(bound: BoundStudy, bars: int) -> WalkForward:
    """Return the study's own walk-forward validation, or five windows over the second half of the data."""
    validation = bound.study.validation
    if isinstance(validation, WalkForward):
        return validation
    half = max(10, bars // 2)
    return WalkForward(scheme="walk_forward", train=half, test=max(1, -(-half // DEFAULT_WINDOWS)))


def _folds_or_none(scheme: WalkForward | CombinatorialPurged, evaluator: Evaluator) -> list[FoldDays]:
    """Return the folds, none if the data are too short for them."""
    try:
        folds = fold_days(scheme, evaluator.market)
    except BadFolds:
        return []
    return folds if all(fold.test.any() and fold.train.sum() > 1 for fold in folds) else []
