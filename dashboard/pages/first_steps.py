"""The steps of a newcomer on the overview, ticked off by what exists."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, Value
from django.urls import reverse

from operations.models import MarketData, Operation
from operations.states import Status
from studies.models import Study
from studies.states import StudyStatus


@dataclass(frozen=True, slots=True)
class FirstStep:
    title: str
    explanation: str
    address: str
    is_done: bool


def first_steps() -> list[FirstStep]:
    """Return the five steps; empty once all are done. One query."""
    done = _find_done()
    steps = [
        FirstStep(title, explanation, address, key in done) for key, title, explanation, address in _steps()
    ]
    return [] if all(step.is_done for step in steps) else steps


def _steps() -> list[tuple[str, str, str, str]]:
    """Return (key, title, explanation, address)."""
    return [
        ("data", "Import market data", "A file of bars, from any source.", _form("data_import")),
        ("strategy", "Choose a strategy", "An example, or your own.", reverse("dashboard:strategies")),
        ("train", "Train it", "Fit a model on the first part of the data.", _form("training")),
        ("backtest", "Backtest it", "Trade on data that the model has not seen.", _form("backtesting")),
        (
            "study",
            "Study its settings",
            "Is the best of many more than luck?",
            reverse("dashboard:new_study"),
        ),
    ]


def _form(operation_type: str) -> str:
    return reverse("dashboard:new_operation", args=[operation_type])


def _find_done() -> set[str]:
    """Return the keys of the steps of which at least one row exists."""
    completed = Operation.objects.filter(status=Status.COMPLETED)
    rows: dict[str, QuerySet[Any]] = {
        "data": MarketData.objects.all(),
        "strategy": Operation.objects.exclude(strategy_digest=None),
        "train": completed.filter(operation_type="training"),
        "backtest": completed.filter(operation_type="backtesting"),
        "study": Study.objects.filter(status=StudyStatus.COMPLETED),
    }
    first, *others = [found.order_by().values_list(Value(key))[:1] for key, found in rows.items()]
    return {key for (key,) in first.union(*others)}
