"""How a study divides its trials into batches."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from operations.models import Operation
from studies.models import Study, StudyBatch, StudyTrial
from studies.rounds import Leader
from tests.factories import OperationFactory
from tests.studies.lab import STUDY, add_bars, claim, fail, finish, work
from tests.studies.test_studies import Body, create


def test_the_first_batch_measures_and_its_trials_are_consecutive(api: APIClient, body: Body) -> None:
    create(api, body)
    work(Leader())
    sizes = [batch.last - batch.first + 1 for batch in StudyBatch.objects.all()]
    assert sizes[0] == 8
    assert sum(sizes) == 40
    assert max(sizes) <= 16, "half of the rest for each of two workers twice"


def test_batches_are_hidden_from_the_list_of_operations(api: APIClient, body: Body) -> None:
    create(api, body)
    work(Leader())
    listed = {row["operation_type"] for row in api.get("/operations").json()["results"]}
    assert listed == {"training", "data_import"}
    batches = api.get("/operations?operation_type=study_batch").json()["results"]
    assert len(batches) == StudyBatch.objects.count()
    assert {row["operation_type"] for row in api.get("/operations?parts=true").json()["results"]} > listed


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_a_quota_makes_the_study_wait_and_stores_no_half_batch(
    api: APIClient, body: Body, settings: Any, method: str
) -> None:
    url = create(api, {**body, "study_yaml": STUDY.replace("random", method)})["url"]
    settings.MAX_PENDING_PER_USER = 1
    OperationFactory(created_by=Study.objects.get().created_by)
    leader = Leader()
    leader.tick()
    assert "pending operations" in api.get(url).json()["waiting_reason"]
    assert not StudyTrial.objects.exists()
    assert not StudyBatch.objects.exists()
    settings.MAX_PENDING_PER_USER = 0
    work(leader)
    assert api.get(url).json()["status"] == "COMPLETED"


def test_the_trials_do_not_depend_on_who_runs_them(api: APIClient, body: Body) -> None:
    """One worker in order, and three workers that finish in reverse order with deaths between."""
    for path in ("calm", "rough"):
        create(api, {**body, "study_yaml": STUDY.replace("name: thresholds", f"name: {path}")})
    calm, rough = (Study.objects.get(name=name) for name in ("calm", "rough"))
    Study.objects.filter(pk=rough.pk).update(parallel=5)
    leader = Leader()
    held = []
    for turn in range(300):
        leader.tick()
        if (claimed := claim()) is not None:
            held.append(claimed)
        if len(held) > 1 or claimed is None:
            if not held:
                break
            operation, secret = held.pop()
            if turn % 5 == 1 and operation.operation_type != "study_report":
                fail(operation, secret)
            else:
                finish(operation, secret)
    assert set(Study.objects.values_list("status", flat=True)) == {"COMPLETED"}
    values = [
        list(study.trials.order_by("number").values_list("number", "parameters")) for study in (calm, rough)
    ]
    assert values[0] == values[1]


def test_bars_of_another_symbol_that_a_formula_reads_are_inputs_of_each_batch(
    api: APIClient, body: Body
) -> None:
    strategy = Path("examples/strategies/moving_average_cross.yaml").read_text()
    strategy = strategy.replace(
        "  fast:\n", "  market: {type: expression, expression: close, symbol: SPY}\n  fast:\n"
    ).replace("crosses_above(fast, slow)", "crosses_above(fast, slow) and close / market > 0.5")
    study = STUDY.partition("search:")[0].replace("{until", "{symbols: [XY], until") + (
        "search:\n  method: grid\n  parameters:\n    /indicators/fast/period: {choices: [5, 10, 15]}\n"
    )
    request = {"strategy_yaml": strategy, "study_yaml": study}
    refused = api.post("/studies", request).json()["errors"]
    assert refused == [{"pointer": "/strategy_yaml", "detail": "No market data for SPY."}]
    add_bars("SPY")
    create(api, request)
    Leader().tick()
    batch = Operation.objects.get(operation_type="study_batch")
    assert set(batch.artifacts.values_list("name", flat=True)) == {
        "bars/XY/1d.parquet",
        "bars/SPY/1d.parquet",
    }


def test_a_rest_of_a_few_seconds_is_one_batch_for_each_worker(api: APIClient, body: Body) -> None:
    study = STUDY.replace("trials: 40", "trials: 48") + "budget: {parallel: 2}\n"
    create(api, {**body, "study_yaml": study})
    work(Leader())
    sizes = [batch.last - batch.first + 1 for batch in StudyBatch.objects.all()]
    assert sizes == [8, 20, 20], "4 s of work for each of two workers"


def test_the_time_that_the_first_trial_takes_to_load_code_makes_no_batch_smaller(
    api: APIClient, body: Body
) -> None:
    create(api, {**body, "study_yaml": STUDY.replace("trials: 40", "trials: 48") + "budget: {parallel: 2}\n"})
    leader = Leader()
    leader.tick()
    first = claim()
    assert first is not None
    finish(*first)
    StudyTrial.objects.filter(number=0).update(cpu_ms=20_000.0)
    Study.objects.update(cpu_ms=21_400.0)
    leader.tick()
    sizes = [batch.last - batch.first + 1 for batch in StudyBatch.objects.all()]
    assert sizes == [8, 20, 20]
