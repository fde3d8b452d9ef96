"""A study from its request to its report: what it answers, what it stores, and how its course is changed."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from access.actors import Actor
from operations.models import Artifact, Operation, StoredFile, TrialCount
from studies import extension, failures, lifecycle
from studies.models import Study, StudyBatch, StudyTrial
from studies.request import ExtendRequest
from studies.rounds import Leader
from tests.factories import OperationFactory
from tests.interleaving import act_before_commit_of
from tests.studies.lab import STUDY, add_bars, claim, evaluate, fail, finish, value_of, work
from worker_agent.protocol import ErrorClass

Body = dict[str, Any]


def create(api: APIClient, body: Body, **headers: str) -> Any:
    response = api.post("/studies", body, headers=headers)
    assert response.status_code == 202, response.content
    return response.json()


def test_a_plan_shows_trials_and_the_ratio_that_luck_reaches(api: APIClient, body: Body) -> None:
    TrialCount.objects.create(symbol="XY", timeframe="1d", trials=412)
    plan = api.post("/studies/validate", body).json()
    assert plan.get("valid"), plan
    assert {name: plan[name] for name in ("valid", "kind", "trials", "folds", "runs", "counted_before")} == {
        "valid": True,
        "kind": "decisions",
        "trials": 40,
        "folds": 1,
        "runs": 40,
        "counted_before": 412,
    }
    assert 0.9 < plan["needed_sharpe"] < 1.2, "3 standard deviations of 1 / sqrt(9 years)"
    assert plan["expected"] == {
        "workers": 2,
        "cpu_hours": None,
        "hours": None,
        "from": "no earlier runs",
    }
    assert not Study.objects.exists()


def test_a_study_runs_to_its_report(api: APIClient, body: Body) -> None:
    answer = create(api, body)
    assert answer["plan"]["trials"] == 40
    work(Leader())
    study = api.get(answer["url"]).json()
    assert study["status"] == "COMPLETED"
    assert study["trials"] == {
        "planned": 40,
        "proposed": 40,
        "running": 0,
        "completed": 40,
        "failed": 0,
        "stopped_early": 0,
    }
    trials = api.get(f"{answer['url']}/trials?limit=1").json()["results"]
    best = max(StudyTrial.objects.all(), key=lambda trial: (trial.value or 0, -trial.number))
    assert study["best"] == {"number": best.number, "value": best.value, "parameters": best.parameters}
    assert trials[0]["number"] == best.number
    assert study["verdict"] == "open"
    assert study["progress"]["percentage"] == 100.0
    assert all(trial.value == value_of(trial.parameters) for trial in StudyTrial.objects.all())
    assert b"report.json" in b"".join(api.get(f"{answer['url']}/report").streaming_content)
    assert b"trials.parquet" in b"".join(api.get(f"{answer['url']}/trials.parquet").streaming_content)


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


def test_the_search_never_reads_the_holdout(api: APIClient, body: Body) -> None:
    create(api, body)
    work(Leader())
    batch = Operation.objects.filter(operation_type="study_batch")[0]
    assert batch.parameters["end_date"] == "2008-12-31"
    report = Operation.objects.get(operation_type="study_report")
    assert report.parameters["holdout"] == {"start_date": "2009-01-01", "end_date": "2009-12-31", "looks": 1}
    assert len(report.parameters["batches"]) == StudyBatch.objects.count()
    names = set(Artifact.objects.filter(operation=report, role="input").values_list("name", flat=True))
    first = report.parameters["batches"][0]["name"]
    assert {
        "bars/XY/1d.parquet",
        "model/model.json",
        f"{first}/trials.parquet",
        f"{first}/moments.npy",
        f"{first}/evidence.npz",
    } <= names


def test_a_study_keeps_its_data_when_they_are_replaced(api: APIClient, body: Body, settings: Any) -> None:
    from operations.artifacts import remove_unreferenced

    answer = create(api, body)
    digest = Study.objects.get().data[0]["sha256"]
    add_bars(rows=2_400)
    from operations.models import MarketData

    other = StoredFile.objects.create(sha256="ab" * 32, size=1)
    MarketData.objects.update(file=other)
    settings.ARTIFACT_RETENTION_DAYS = 0
    remove_unreferenced()
    assert StoredFile.objects.filter(pk=digest).exists()
    work(Leader())
    used = Artifact.objects.filter(role="input", name="bars/XY/1d.parquet").values_list("file_id", flat=True)
    assert set(used) == {digest}
    assert api.get(answer["url"]).json()["data"] == [{"symbol": "XY", "timeframe": "1d", "sha256": digest}]


def test_the_same_request_with_its_key_is_one_study(api: APIClient, body: Body) -> None:
    first = create(api, body, **{"Idempotency-Key": "k"})
    again = create(api, body, **{"Idempotency-Key": "k"})
    assert first["study_id"] == again["study_id"]
    other = api.post("/studies", {**body, "priority": -11}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422


def test_two_studies_with_one_spec_count_their_trials_once(api: APIClient, body: Body) -> None:
    create(api, body)
    create(api, {**body, "study_yaml": STUDY.replace("name: thresholds", "name: again")})
    work(Leader())
    assert set(Study.objects.values_list("status", flat=True)) == {"COMPLETED"}
    assert TrialCount.objects.get(symbol="XY", timeframe="1d").trials == 40


def test_pausing_submits_nothing_more_and_resuming_goes_on(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    leader.tick()
    assert api.post(f"{url}/pause").json()["status"] == "PAUSED"
    assert api.post(f"{url}/pause").status_code == 409
    while claimed := claim():
        finish(*claimed)
        leader.tick()
    assert StudyTrial.objects.count() == 8
    assert api.post(f"{url}/resume").json()["status"] == "RUNNING"
    work(leader)
    assert api.get(url).json()["status"] == "COMPLETED"


def test_cancelling_ends_the_operations_and_keeps_the_results(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    leader.tick()
    claimed = claim()
    assert claimed is not None
    finish(*claimed)
    leader.tick()
    cancelled = api.post(f"{url}/cancel").json()
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["trials"]["completed"] == 8
    assert set(Operation.objects.filter(operation_type="study_batch").values_list("status", flat=True)) == {
        "COMPLETED",
        "CANCELLED",
    }
    assert api.post(f"{url}/resume").status_code == 409
    assert api.post(f"{url}/extend", {"trials": 5}).status_code == 409


def test_extending_never_renumbers(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    work(leader)
    before = dict(StudyTrial.objects.values_list("number", "value"))
    assert api.post(f"{url}/extend", {"trials": 20}).json()["status"] == "RUNNING"
    work(leader)
    after = dict(StudyTrial.objects.values_list("number", "value"))
    assert len(after) == 60
    assert before.items() <= after.items()
    assert api.get(url).json()["status"] == "COMPLETED"
    assert api.post(f"{url}/extend", {}).status_code == 422


def test_a_grid_cannot_be_extended_beyond_its_points(api: APIClient, body: Body) -> None:
    grid = (
        STUDY.replace("random", "grid")
        .replace("  trials: 40\n", "")
        .replace("[0.3, 0.9]}", "[0.3, 0.9], step: 0.1}")
    )
    url = create(api, {**body, "study_yaml": grid})["url"]
    response = api.post(f"{url}/extend", {"trials": 1})
    assert response.status_code == 422
    assert "at most 21 trials" in response.json()["detail"]


@pytest.mark.django_db(transaction=True)
def test_extensions_at_the_same_moment_stay_within_the_limit_together(
    api: APIClient, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = create(api, body)["url"]
    study_id, me = Study.objects.get().study_id, Actor("user:test")
    monkeypatch.setattr(extension, "MAX_TRIALS", 45)
    first = partial(extension.extend, study_id, me, ExtendRequest(trials=4))
    response = act_before_commit_of(first, lambda: api.post(f"{url}/extend", {"trials": 4}))
    assert response.status_code == 422
    assert "at most 45 trials, and this would make 48" in response.json()["detail"]
    assert Study.objects.get().planned == 44


def test_a_study_that_was_cancelled_meanwhile_does_not_wait(
    api: APIClient, body: Body, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = create(api, body)["url"]
    note_waiting = lifecycle.note_waiting

    def cancel_before_it(study_id: str, reason: str) -> None:
        assert "pending operations" in reason
        assert api.post(f"{url}/cancel").status_code == 202
        note_waiting(study_id, reason)

    monkeypatch.setattr(lifecycle, "note_waiting", cancel_before_it)
    OperationFactory(created_by=Study.objects.get().created_by)
    settings.MAX_PENDING_PER_USER = 1
    Leader().tick()
    study = api.get(url).json()
    assert (study["status"], study["waiting_reason"]) == ("CANCELLED", "")


def test_a_batch_whose_worker_dies_is_halved_until_the_trial_is_isolated(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    for _ in range(200):
        leader.tick()
        if (claimed := claim()) is None:
            break
        numbers = [trial["number"] for trial in claimed[0].parameters.get("trials", [])]
        if 5 in numbers:
            fail(*claimed)
        else:
            finish(*claimed)
    study = api.get(url).json()
    assert (study["status"], study["trials"]["completed"], study["trials"]["failed"]) == ("COMPLETED", 39, 1)
    (failed,) = api.get(f"{url}/trials?state=failed").json()["results"]
    assert (failed["number"], failed["error"]) == (5, "out_of_memory: killed")


@pytest.mark.parametrize("error_class", [ErrorClass.JOB, ErrorClass.OUT_OF_MEMORY])
@pytest.mark.parametrize("trials", [1, 40])
def test_a_job_that_dies_in_the_middle_of_a_step_is_continued_by_the_next_one(
    api: APIClient, body: Body, monkeypatch: pytest.MonkeyPatch, trials: int, error_class: ErrorClass
) -> None:
    url = create(api, {**body, "study_yaml": STUDY.replace("trials: 40", f"trials: {trials}")})["url"]
    leader = Leader()
    leader.tick()
    claimed = claim()
    assert claimed is not None
    resume_killed = failures.resume_killed

    def fail_after_it(study: Study) -> None:
        resume_killed(study)
        fail(*claimed, error_class)

    with monkeypatch.context() as patch:
        patch.setattr(failures, "resume_killed", fail_after_it)
        leader.tick()
    batch = StudyBatch.objects.get(operation_id=claimed[0].pk)
    assert (batch.is_open, Operation.objects.get(pk=claimed[0].pk).status) == (True, "FAILED")
    work(leader)
    study = api.get(url).json()
    assert (study["status"], study["trials"]["completed"]) == ("COMPLETED", trials)
    operation = Operation.objects.get(pk=claimed[0].pk)
    assert (operation.status, operation.attempt) == ("COMPLETED", 2)


def test_a_job_that_dies_while_its_study_is_paused_for_another_one_is_continued(
    api: APIClient, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = create(api, body)["url"]
    Study.objects.update(parallel=2)
    leader = Leader()
    leader.tick()
    first = claim()
    assert first is not None
    finish(*first)
    leader.tick()
    cancelled, dying = claim(), claim()
    assert cancelled is not None
    assert dying is not None
    fail(*cancelled, ErrorClass.INVALID)
    failed_batches = failures.failed_batches

    def let_it_die(study: Study) -> list[StudyBatch]:
        batches = failed_batches(study)
        fail(*dying)
        return batches

    with monkeypatch.context() as patch:
        patch.setattr(failures, "failed_batches", let_it_die)
        leader.tick()
    assert api.get(url).json()["status"] == "PAUSED"
    assert StudyBatch.objects.filter(operation_id=dying[0].pk, is_open=True).exists()
    api.post(f"{url}/resume")
    work(leader)
    operation = Operation.objects.get(pk=dying[0].pk)
    assert (operation.status, operation.attempt) == ("COMPLETED", 2)
    assert api.get(url).json()["trials"]["completed"] == 40


def test_too_many_failures_pause_with_the_commonest_errors(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    leader.tick()
    claimed = claim()
    assert claimed is not None
    finish(*claimed, lambda trial: ("failed", None))
    leader.tick()
    study = api.get(url).json()
    assert study["status"] == "PAUSED"
    assert study["waiting_reason"] == "8 of the last 8 trials failed: no rows (8x)"
    api.post(f"{url}/resume")
    work(leader)
    assert api.get(url).json()["status"] == "COMPLETED", "failures before the resumption do not count"


def test_rejected_parameters_pause_the_study_at_once(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    leader.tick()
    claimed = claim()
    assert claimed is not None
    fail(*claimed, ErrorClass.INVALID)
    leader.tick()
    assert api.get(url).json()["waiting_reason"] == "Every batch would fail: killed"
    api.post(f"{url}/resume")
    work(leader)
    assert api.get(url).json()["trials"]["completed"] == 40


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


def test_trials_without_a_value_are_never_best(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    work(Leader(), lambda trial: ("completed", None))
    study = api.get(url).json()
    assert (study["status"], study["best"], study["trials"]["completed"]) == ("COMPLETED", None, 40)


def test_a_study_that_raises_harms_only_itself(
    api: APIClient, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = create(api, body)["study_id"]
    good = create(api, body)["study_id"]
    leader = Leader()
    known = Study.objects.get(study_id=bad).pk

    class Broken:
        def propose(self, study: Study, first: int, count: int) -> list[Any]:
            raise RuntimeError("broken")

    leader.proposers[known] = Broken()
    monkeypatch.setattr(
        "studies.rounds.new_proposer", lambda study: Broken() if study.pk == known else _real(study)
    )
    monkeypatch.setattr("studies.rounds.LONGEST_BACKOFF_S", 0.0)
    work(leader)
    assert api.get(f"/studies/{good}").json()["status"] == "COMPLETED"
    study = api.get(f"/studies/{bad}").json()
    assert study["status"] == "PAUSED"
    assert study["waiting_reason"] == "An unexpected error of the backend: RuntimeError: broken"


def _real(study: Study) -> Any:
    from studies.proposing import new_proposer

    return new_proposer(study)


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


INVALID = {
    "study": ({"study_yaml": STUDY.replace("method: random", "method: rand")}, "/study_yaml/search/method", 6),
    "strategy": ({"strategy_yaml": "name: x"}, "/strategy_yaml", 1),
    "no model": ({"model": None}, "/model", None),
    "no data": ({"study_yaml": STUDY.replace("{until", "{symbols: [ZZ], until")}, "/study_yaml/data/symbols", None),
    "walk forward": (
        {"study_yaml": STUDY + "validation: {scheme: walk_forward, train: 2000, test: 500}\n"},
        "/study_yaml/validation/train",
        12,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "pointer", "line"), INVALID.values(), ids=INVALID)
def test_an_invalid_study_is_refused_with_its_place(
    api: APIClient, body: Body, change: Body, pointer: str, line: int | None
) -> None:
    response = api.post(
        "/studies", {name: value for name, value in {**body, **change}.items() if value is not None}
    )
    assert response.status_code == 422
    error = response.json()["errors"][0]
    assert error["pointer"].startswith(pointer)
    assert error.get("line") == line


def test_evaluation_is_a_pure_function_of_the_point() -> None:
    from workers.studies.messages import Trial

    trial = Trial(number=1, point={"/decisions/confidence_threshold": 0.6, "/backtest/stop_loss": None})
    assert evaluate(trial) == ("completed", 2.0)


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
