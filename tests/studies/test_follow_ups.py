"""After a study: its winner as ordinary operations, and a second look at the sealed data."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from access.models import AuditEntry
from operations.models import Operation
from studies.models import Study
from studies.rounds import Leader
from tests.studies.lab import STUDY, add_bars, work
from workers.strategy.document import read_document, write_document
from workers.strategy.grammar import parse_strategy


def completed(api: APIClient, body: dict[str, Any]) -> Study:
    assert api.post("/studies", body).status_code == 202
    work(Leader())
    return Study.objects.get()


def test_the_winner_is_promoted_to_a_backtest_with_its_values(api: APIClient, body: dict[str, Any]) -> None:
    study = completed(api, body)
    assert study.best_number is not None
    answer = api.post(f"/studies/{study.study_id}/promote", {}).json()
    assert answer["number"] == study.best_number
    (submitted,) = answer["operations"]
    backtest = Operation.objects.get(pk=submitted["operation_id"])
    point = study.trials.get(number=study.best_number).parameters
    strategy = parse_strategy(backtest.parameters["strategy_yaml"])
    assert (
        strategy.model_dump()["decisions"]["confidence_threshold"] == point["/decisions/confidence_threshold"]
    )
    assert backtest.parameters.get("stop_loss") == point["/backtest/stop_loss"]
    assert backtest.parameters["model"] == study.model_id
    assert backtest.parameters["end_date"] == "2008-12-31", "the holdout stays sealed"
    assert api.post(f"/studies/{study.study_id}/promote", {"number": 5000}).status_code == 422


def test_a_study_of_trainings_promotes_a_training_and_its_backtest(
    api: APIClient, body: dict[str, Any]
) -> None:
    searched = "    /training/labels/horizon: {range: [2, 9]}\n"
    study_yaml = STUDY.replace("    /decisions/confidence_threshold: {range: [0.3, 0.9]}\n", searched)
    request = {**body, "study_yaml": study_yaml, "model": None}
    created = api.post("/studies", {name: value for name, value in request.items() if value})
    study = Study.objects.get(study_id=created.json()["study_id"])
    Leader().tick()
    study.trials.filter(number=0).update(state="completed", value=1.0)
    operations = api.post(f"/studies/{study.study_id}/promote", {"number": 0}).json()["operations"]
    training, backtest = (Operation.objects.get(pk=row["operation_id"]) for row in operations)
    assert (training.operation_type, backtest.operation_type) == ("training", "backtesting")
    assert backtest.parameters["model"] == training.pk
    assert list(backtest.after.all()) == [training]


READS_MARKET = """\
name: reads_market
version: "3.0"
training_data: {symbols: {mode: single, symbol: XY}, timeframes: {mode: single, timeframe: 1d}}
indicators:
  fast: {type: sma, period: 5}
  market: {type: expression, expression: close, symbol: SPY}
model: {type: rules}
decisions: {long: fast > market, exit_long: fast < market}
"""


@pytest.mark.parametrize("symbols", ["symbols: [XY], ", ""], ids=["of the study", "of the strategy"])
def test_a_symbol_that_the_strategy_only_reads_is_not_traded(
    api: APIClient, body: dict[str, Any], symbols: str
) -> None:
    add_bars("SPY")
    study_yaml = STUDY.replace("data: {", f"data: {{{symbols}").replace(
        "/decisions/confidence_threshold: {range: [0.3, 0.9]}", "/indicators/fast/period: {range: [5, 30]}"
    )
    created = api.post("/studies", {"strategy_yaml": READS_MARKET, "study_yaml": study_yaml})
    study = Study.objects.get(study_id=created.json()["study_id"])
    Leader().tick()
    batch = Operation.objects.get(operation_type="study_batch")
    assert sorted(batch.artifacts.values_list("name", flat=True)) == [
        "bars/SPY/1d.parquet",
        "bars/XY/1d.parquet",
    ]
    assert batch.parameters["symbols"] == ["XY"]
    study.trials.filter(number=0).update(state="completed", value=1.0)
    (backtest,) = api.post(f"/studies/{study.study_id}/promote", {"number": 0}).json()["operations"]
    assert Operation.objects.get(pk=backtest["operation_id"]).parameters["symbol"] == "XY"


def test_a_second_look_at_the_holdout_is_for_staff_and_is_counted(
    api: APIClient, staff_api: APIClient, body: dict[str, Any]
) -> None:
    study = completed(api, body)
    path = f"/studies/{study.study_id}/holdout"
    assert api.post(path).status_code == 403
    assert staff_api.post(path).json()["status"] == "REPORTING"
    newest = Operation.objects.filter(operation_type="study_report").latest("created_at")
    assert newest.parameters["holdout"]["looks"] == 2
    assert AuditEntry.objects.get().act == "holdout_look"


def test_written_values_are_read_as_the_same_values() -> None:
    values = {
        "a": ("1e3", 1e3, None, True, "no", "null", 5),
        "b": {"2010-01-31": ({"x": "y: z"},)},
        "c": "é #",
    }
    assert read_document(write_document(values)).data == values
