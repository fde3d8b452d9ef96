"""The folds on which the report of a study of kind `decisions` or `rules` chooses trials: windows, and folds of paths."""

from dataclasses import dataclass

from workers.learning.folds import BadFolds
from workers.studies.binding import BoundStudy
from workers.studies.fold_days import fold_days
from workers.studies.market import Market
from workers.studies.sections import CombinatorialPurged, WalkForward
from workers.studies.statistics.walk_forward import FoldDays

DEFAULT_WINDOWS = 5
DEFAULT_PATHS = CombinatorialPurged(scheme="cpcv")


@dataclass(frozen=True)
class JudgedFolds:
    windows: list[FoldDays]
    """Of the walk-forward selection."""
    paths: CombinatorialPurged | None
    """None if the data are too short for them."""
    path_folds: list[FoldDays]

    @property
    def all(self) -> list[FoldDays]:
        return [*self.windows, *self.path_folds]


NO_FOLDS = JudgedFolds([], None, [])


def build_judged_folds(bound: BoundStudy, market: Market) -> JudgedFolds:
    """Return the folds of a study on its market; those for which the data are too short are left out."""
    section = bound.study.finalists
    chosen = section.validation if section else None
    paths = chosen if isinstance(chosen, CombinatorialPurged) else DEFAULT_PATHS
    path_folds = _folds_or_none(paths, market)
    windows = _folds_or_none(_windows_of(bound, len(market.times)), market)
    return JudgedFolds(windows, paths if path_folds else None, path_folds)


def _windows_of(bound: BoundStudy, bars: int) -> WalkForward:
    """Return the study's own walk-forward validation, or five windows over the second half of the data."""
    validation = bound.study.validation
    if isinstance(validation, WalkForward):
        return validation
    half = max(10, bars // 2)
    return WalkForward(scheme="walk_forward", train=half, test=max(1, -(-half // DEFAULT_WINDOWS)))


def _folds_or_none(scheme: WalkForward | CombinatorialPurged, market: Market) -> list[FoldDays]:
    """Return the folds, none if the data are too short for them."""
    try:
        folds = fold_days(scheme, market)
    except BadFolds:
        return []
    return folds if all(fold.test.any() and fold.train.sum() > 1 for fold in folds) else []
