"""Runs one trial of a study as ordinary operations: a training, if it needs one, and a backtest per symbol."""

from datetime import date
from typing import Any

from django.db import transaction

from access.problems import Conflict, invalid
from operations.batches import submit_batch
from operations.insertion import Submitter
from operations.models import Operation
from studies.models import Study, StudyTrial, TrialState
from studies.planning import traded_symbols
from studies.proposing import bound_study
from workers.strategy.document import write_document
from workers.studies.binding import BoundStudy
from workers.studies.messages import training_seed

PROMOTABLE = (TrialState.COMPLETED, TrialState.STOPPED_EARLY)


@transaction.atomic
def promote(study: Study, number: int | None, by: Submitter) -> tuple[int, list[Operation]]:
    """Submit the operations of a trial, by default the best. Raises Conflict, Invalid."""
    trial = _trial(study, number)
    items = _items(study, bound_study(study), trial)
    return trial.number, submit_batch(items, by)


def _trial(study: Study, number: int | None) -> StudyTrial:
    chosen = study.best_number if number is None else number
    if chosen is None:
        raise Conflict("The study has no best trial yet.")
    trial = study.trials.filter(number=chosen).first()
    if trial is None:
        raise invalid("/number", f"The study has no trial {chosen}.")
    if trial.state not in PROMOTABLE:
        raise Conflict(f"Trial {chosen} is {trial.state}; only a completed one can be promoted.")
    return trial


def strategy_of(bound: BoundStudy, trial: StudyTrial) -> str:
    """Return the text of the strategy with the values of a trial."""
    return write_document(bound.values_of(trial.parameters))


def _items(study: Study, bound: BoundStudy, trial: StudyTrial) -> list[dict[str, Any]]:
    """Return the operations as items of a batch, in which `#0` is the training."""
    strategy_yaml = strategy_of(bound, trial)
    dates = {"start_date": _text(study.start_date), "end_date": _text(study.end_date)}
    dates = {name: value for name, value in dates.items() if value}
    symbols = list(traded_symbols(study))
    items: list[dict[str, Any]] = []
    model: dict[str, Any] = {}
    if study.kind == "training":
        items.append(
            {
                "operation_type": "training",
                "strategy_yaml": strategy_yaml,
                "symbols": symbols,
                "seed": training_seed(study.seed),
                **dates,
            }
        )
        model = {"model": "#0", "after": ["#0"]}
    elif study.kind == "decisions":
        model = {"model": study.model_id, "strategy_yaml": strategy_yaml}
    else:
        model = {"strategy_yaml": strategy_yaml}
    settings = bound.settings_of(trial.parameters).model_dump(mode="json", exclude_none=True)
    items += [
        {"operation_type": "backtesting", "symbol": symbol, **settings, **model, **dates}
        for symbol in symbols
    ]
    return items


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
