"""The overview of a researcher: first steps, the best runs of the week, and the plumbing as one line."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models.functions import Now
from django.test import Client

from dashboard.pages.first_steps import first_steps
from dashboard.pages.overview import best_of_the_week
from operations.models import Operation
from registry.models import Sweep, Worker
from studies.models import Study
from tests.browser.population import populate
from tests.browser.sample_operations import create_backtest, create_import, create_training
from tests.studies.rows import create_study


def list_ticks() -> list[bool]:
    return [step.is_done for step in first_steps()]


def test_each_first_step_is_ticked_off_by_what_exists(staff: Any, client: Client) -> None:
    cache.clear()
    assert list_ticks() == [False] * 5
    client.force_login(staff)
    assert "First steps" in client.get("/dashboard/").content.decode()
    create_import(staff, "IBM")
    assert list_ticks() == [True, False, False, False, False]
    training = create_training(staff)
    assert list_ticks() == [True, True, True, False, False], "its parameters contain a strategy"
    create_backtest(staff, training)
    assert list_ticks() == [True, True, True, True, False]
    Study.objects.filter(pk=create_study(staff).pk).update(status="COMPLETED", ended_at=Now())
    assert first_steps() == []


def test_the_best_runs_are_those_of_this_week_by_sharpe_ratio(staff: Any) -> None:
    model = create_training(staff)
    runs = [create_backtest(staff, model) for _ in range(4)]
    for run, (sharpe, days) in zip(runs, ((0.5, 1), (2.0, 8), (0.9, 6), (None, 1)), strict=True):
        Operation.objects.filter(pk=run.pk).update(completed_at=Now() - timedelta(days=days))
        type(run.run_metrics).objects.filter(pk=run.pk).update(sharpe=sharpe)
    assert [row.operation.pk for row in best_of_the_week()] == [runs[2].pk, runs[0].pk]
    (name, text, _), *_ = best_of_the_week(1)[0].cells
    assert (name, text) == ("Sharpe", "0.90")
    Operation.objects.filter(pk=runs[2].pk).update(archived_at=Now())
    assert [row.operation.pk for row in best_of_the_week()] == [runs[0].pk]


@pytest.mark.parametrize("fault", ["", "sweep", "worker", "held back", "dispatcher"])
def test_the_plumbing_is_one_line_and_opens_when_something_is_wrong(
    staff: Any, client: Client, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear()
    populate(staff)
    Worker.objects.exclude(status__in=["AVAILABLE", "BUSY"]).delete()
    monkeypatch.setattr("dashboard.views.overview.dispatchers_alive", lambda: int(fault != "dispatcher"))
    client.force_login(staff)
    match fault:
        case "sweep":
            Sweep.objects.update(completed_at=Now() - timedelta(hours=1))
        case "worker":
            Worker.objects.update(status="TEMPORARILY_UNAVAILABLE", unavailable_since=Now())
        case "held back":
            Sweep.objects.update(summary={"held_back": "3 of 4 workers"})
    page = client.get("/dashboard/").content.decode()
    tag, _, rest = page.partition('id="plumbing"')[2].partition(">")
    assert (" open" in tag) is bool(fault)
    words = "The system needs attention" if fault else "System ready"
    assert words in rest.split("</summary>")[0]
