"""Data for the page of one trial of a study."""

import hashlib
from dataclasses import dataclass
from typing import Any

from dashboard.pages.studies import short_name
from operations.models import Operation
from operations.presentation.charts import Chart
from operations.presentation.report_charts import chart, pane, series
from operations.registered_kinds import kind_of
from studies.models import Study, StudyTrial, TrialState
from studies.promotion import PROMOTABLE, strategy_of
from studies.proposing import bound_study
from studies.trial_details import details_of, operation_of

CURVES = 12
"""Trainings whose learning curves are drawn."""
RUNS = 20
STATES = {
    TrialState.RUNNING: ("live", "running", "Running"),
    TrialState.COMPLETED: ("good", "check", "Completed"),
    TrialState.FAILED: ("bad", "cross", "Failed"),
    TrialState.STOPPED_EARLY: ("empty", "stop", "Stopped early"),
}
"""Tone, icon and word of a chip."""


@dataclass(frozen=True, slots=True)
class TrialPage:
    look: tuple[str, str, str]
    can_promote: bool
    figures: list[tuple[str, str]]
    """Title and value of each metric."""
    parameters: list[tuple[str, str, Any, Any]]
    """Pointer, name, value, and the best trial's value."""
    folds: list[Any]
    trainings: list[dict[str, Any]]
    curves: Chart | None
    log: list[str]
    operation_id: str | None
    """That evaluated it; None before it started."""
    runs: list[Operation]
    """Trainings and backtests of the trial's strategy, the newest first."""


def trial_page(study: Study, trial: StudyTrial) -> TrialPage:
    operation_id = operation_of(trial)
    details = details_of(trial, operation_id)
    best = study.trials.filter(number=study.best_number).first() if study.best_number is not None else None
    of_best = best.parameters if best is not None else {}
    pointers = list(trial.parameters)
    return TrialPage(
        look=STATES[TrialState(trial.state)],
        can_promote=trial.state in PROMOTABLE,
        figures=_figures(trial.scores),
        parameters=[
            (pointer, short_name(pointer, pointers), value, of_best.get(pointer))
            for pointer, value in trial.parameters.items()
        ],
        folds=details["folds"],
        trainings=details["trainings"],
        curves=_curves(details["trainings"]),
        log=details["log"],
        operation_id=operation_id,
        runs=_runs(study, trial),
    )


def _figures(scores: dict[str, float | None]) -> list[tuple[str, str]]:
    """Format the metrics like those of a backtest, in the same order."""
    styles = {name: kind_of("backtesting").metric_style(name) for name in scores}
    return [
        (styles[name].title, styles[name].format(scores[name]))
        for name in sorted(styles, key=lambda name: styles[name].rank)
    ]


def _curves(trainings: list[dict[str, Any]]) -> Chart | None:
    """Draw the validation loss of each training by epoch."""
    lines = [
        series(f"fold {each['fold']}, seed {each['seed']}", list(enumerate(each["validation_loss"], 1)))
        for each in trainings[:CURVES]
    ]
    note = f"The first {CURVES} of {len(trainings)} trainings." if len(trainings) > CURVES else ""
    epochs = {"type": "value", "name": "epoch"}
    return chart("trial-loss", "Validation loss", epochs, [pane("validation loss", *lines)], note=note)


def _runs(study: Study, trial: StudyTrial) -> list[Operation]:
    """Return the operations that a promotion of the trial has submitted, or that have the same strategy."""
    text = strategy_of(bound_study(study), trial)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    rows = Operation.objects.filter(operation_type__in=("training", "backtesting"), strategy=digest)
    return list(rows.defer("result", "parameters").order_by("-created_at")[:RUNS])
