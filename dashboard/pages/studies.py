"""Data for the pages of studies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from dashboard.pages.study_terms import FIGURES, Term
from studies.api.trials import ORDERS, ordered_trials
from studies.models import Study, StudyBatch, StudyTrial, TrialState

LEADERS = 50
BATCHES = 20
MAX_LISTED = 200
VERDICTS = {"believed": ("good", "check"), "open": ("warn", "clock"), "luck": ("bad", "cross")}


@dataclass(frozen=True, slots=True)
class Leaderboard:
    columns: list[tuple[str, str]]
    """Pointer and short name of the parameters that differ."""
    rows: list[tuple[StudyTrial, list[Any]]]
    order: str
    best_order: str
    """The order that has the best value first."""


def list_studies() -> QuerySet[Study]:
    rows = Study.objects.select_related("created_by").defer("spec", "study_yaml", "strategy_yaml")
    return rows.order_by("-created_at", "-id")[:MAX_LISTED]


def leaderboard(study: Study, order: str) -> Leaderboard:
    """Return the first trials in this order; parameters that are the same in all of them are left out."""
    best_order = "-value" if study.maximizes else "value"
    chosen = order if order in ORDERS else best_order
    trials = list(ordered_trials(study, chosen, TrialState.COMPLETED)[:LEADERS])
    names = list(trials[0].parameters) if trials else []
    differing = [name for name in names if len({repr(trial.parameters.get(name)) for trial in trials}) > 1]
    columns = [(name, short_name(name, names)) for name in differing]
    rows = [(trial, [trial.parameters.get(name) for name in differing]) for trial in trials]
    return Leaderboard(columns, rows, chosen, best_order)


def batches_of(study: Study) -> list[StudyBatch]:
    """Return the newest batches that still have their operation."""
    rows = StudyBatch.objects.filter(study=study, operation__isnull=False).select_related("operation")
    return list(rows.defer("operation__result", "operation__parameters").order_by("-first")[:BATCHES])


def short_name(pointer: str, pointers: list[str]) -> str:
    """Return the end of a pointer that no other one has: `period`, or `rsi_14/period`."""
    parts = pointer.strip("/").split("/")
    for count in range(1, len(parts)):
        name = "/".join(parts[-count:])
        if sum(other.endswith("/" + name) for other in pointers) == 1:
            return name
    return "/".join(parts)


def figures_of(report: Mapping[str, Any] | None) -> list[tuple[Term, Any]]:
    """Return the figures of a report that have a value, each with the term that explains it."""
    figures = (report or {}).get("figures") or {}
    return [(term, figures[name]) for name, term in FIGURES.items() if figures.get(name) is not None]
