"""The number of folds of a study, and whether they fit its data; the folds themselves are those of the workers."""

from dataclasses import dataclass
from math import comb

from access.problems import Invalid
from studies.reading import invalid_study
from workers.strategy.trained_strategy import TrainedStrategy
from workers.studies.binding import BoundStudy
from workers.studies.sections import CombinatorialPurged, PurgedKFold, Validation, WalkForward

MIN_GROUP_EMBARGOES = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """Bars of the symbol with the fewest of them in the search part."""

    symbol: str
    number: int


def count_folds(validation: Validation | None, bars: int) -> int:
    """Return the number of folds over `bars` bars; 1 without a validation."""
    match validation:
        case WalkForward():
            return max(0, (bars - validation.train) // validation.test)
        case PurgedKFold():
            return validation.folds
        case CombinatorialPurged():
            return comb(validation.groups, validation.test_groups)
    return 1


def require_fitting_folds(bound: BoundStudy, rows: Rows) -> None:
    """Raise Invalid if a validation of the study does not fit the data."""
    study = bound.study
    of_finalists = study.finalists.validation if study.finalists else None
    for at, validation in (("/validation", study.validation), ("/finalists/validation", of_finalists)):
        if validation is not None and (problem := _problem(bound, validation, at, rows)):
            raise problem


def _problem(bound: BoundStudy, validation: Validation, at: str, rows: Rows) -> Invalid | None:
    have = f"{rows.symbol} has {rows.number:,} bars in the search part"
    if isinstance(validation, WalkForward):
        if validation.train + validation.test <= rows.number:
            return None
        needed = validation.train + validation.test
        message = f"the first fold needs {needed:,} bars (train {validation.train:,}, test {validation.test:,}), but {have}"
        return invalid_study(bound, f"{at}/train", message)
    key = "folds" if isinstance(validation, PurgedKFold) else "groups"
    parts = int(getattr(validation, key))
    length, smallest = rows.number // parts, MIN_GROUP_EMBARGOES * embargo_of(bound)
    if length >= max(smallest, 2):
        return None
    message = f"each of {parts} {key} would have {length:,} bars, and the embargo needs {smallest:,}: {have}; use fewer {key}"
    return invalid_study(bound, f"{at}/{key}", message)


def embargo_of(bound: BoundStudy) -> int:
    """Return the bars that are left out after a test part: its rows still look into them."""
    strategy = bound.strategy
    if not isinstance(strategy, TrainedStrategy) or bound.kind != "training":
        return 0
    model = strategy.model
    sequence = int(getattr(model.architecture, "sequence_length", 0) or 0)
    return max(strategy.label_horizon, model.features.lookback_periods, sequence)
