"""A study from its request to its report: what it answers, what it stores, and how its course is changed."""

from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from access.actors import Actor
from operations.models import Artifact, Operation, StoredFile, TrialCount
from studies import extension, lifecycle
from studies.models import Study, StudyBatch, StudyTrial
from studies.request import ExtendRequest
from studies.rounds import Leader
from tests.factories import OperationFactory
from tests.interleaving import act_before_commit_of
from tests.studies.lab import STUDY, add_bars, claim, evaluate, finish, value_of, work

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
